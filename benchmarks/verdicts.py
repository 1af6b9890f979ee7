"""How a verdict is judged."""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import verdict_problems as vp

import dosift

warnings.simplefilter("ignore")


def figures(t, targets, weights):
    found = {}
    for x, w in zip(targets, weights):
        k = vp.text_of(x, t.is_of_counts)
        found[k] = found.get(k, 0) + float(w)
    false = sum(w for k, w in found.items() if k not in t.truth)
    tv = 0.5 * sum(abs(t.truth.get(k, 0) - found.get(k, 0)) for k in set(t.truth) | set(found))
    rec = sum(k in found for k in t.truth) / len(t.truth)
    return "n %d false %.3f rec %.2f tv %.3f" % (len(found), false, rec, tv)


def one(kind, n, rows, seed, show=True):
    t = vp.KINDS[kind](n, rows, seed)
    b = time.process_time()
    m = dosift.InterventionMixture(**t.settings).fit(t.rows, control=t.control, **t.fit)
    b = time.process_time() - b
    v = m.fitted_.verdict
    c = m.fitted_.control
    right = np.array([vp.text_of(x, t.is_of_counts) in t.truth for x in m.targets_])
    w = m.weights_
    st = v.stands
    rec = dict(
        kind=kind,
        seed=seed,
        value=v.value,
        stand=float(w[st].sum()),
        false_stand=float(w[st & ~right].sum()),
        right=float(w[right].sum()),
        refused=float(w[right & ~st].sum()),
        seconds=b,
    )
    if show:
        print(
            kind,
            seed,
            "%.1fs" % b,
            v.value,
            "inv %.3f c %.3f left %.3f" % ((c.weight, c.power, c.left) if c else (0, 0, 0)),
            figures(t, m.targets_, w),
            "STAND %.2f false %.3f refused %.3f"
            % (rec["stand"], rec["false_stand"], rec["refused"]),
            t.cause,
        )
        for a, ch in zip(v.answers, v.changes):
            net = m.network_
            print(
                "     ",
                [
                    (
                        r.what,
                        [net.names[i] for i in r.variables],
                        round(r.gain, 0),
                        round(r.share, 3),
                    )
                    for r in a.repairs
                ][:4],
                "gain %.0f change %.3f" % (a.gain, ch),
                figures(
                    t,
                    [
                        dosift.Mixture.from_codes(net, np.stack([x, x])[:1], np.ones(1)).targets[0]
                        for x in a.targets
                    ],
                    a.weights,
                ),
            )
        sys.stdout.flush()
    return rec


if __name__ == "__main__":
    n, rows, N = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    start = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    recs = []
    for kind in sys.argv[4].split(","):
        own = [one(kind, n, rows, start + s) for s in range(N)]
        recs += own
        S = sum(r["stand"] for r in own)
        R = sum(r["right"] for r in own)
        print(
            "==",
            kind,
            "false among stands %.3f" % (sum(r["false_stand"] for r in own) / max(S, 1e-9)),
            "right refused %.3f" % (sum(r["refused"] for r in own) / max(R, 1e-9)),
            {
                x: sum(r["value"] == x for r in own)
                for x in ("stands", "stands in part", "does not stand")
            },
            "%.1fs" % np.mean([r["seconds"] for r in own]),
        )
        sys.stdout.flush()
