"""An XML parser that expands no entities and follows no references."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from dosift.errors import InputError


def safe_expat(path: str | Path | None) -> expat.XMLParserType:
    """Make an expat parser that raises on entity declarations and outside references.

    Parameters
    ----------
    path : str or Path or None
        Named in errors.

    Returns
    -------
    expat parser
        Without handlers for elements; run it with `run_expat`.
    """
    parser = expat.ParserCreate()

    def refuse(message: str) -> InputError:
        return InputError(
            message,
            path=path,
            line=parser.CurrentLineNumber,
            column=parser.CurrentColumnNumber + 1,
        )

    def document_type(_name: str, system: str | None, public: str | None, _: bool) -> None:
        if system is not None or public is not None:
            raise refuse(
                "the document type refers to something outside this file, which is refused; "
                "remove the DOCTYPE line"
            )

    def entity(name: str, *_: object) -> None:
        raise refuse(
            f"the entity {name[:40]!r} is declared here; dosift expands no entities. "
            "Write its text in its place"
        )

    def external(*_: object) -> int:
        raise refuse("a reference to something outside this file is refused")

    parser.StartDoctypeDeclHandler = document_type
    parser.EntityDeclHandler = entity
    parser.ExternalEntityRefHandler = external
    return parser


def run_expat(parser: expat.XMLParserType, data: bytes | str, path: str | Path | None) -> None:
    """Run a parser over the whole content.

    Parameters
    ----------
    parser : expat parser
        Made by `safe_expat`.
    data : bytes or str
        The content.
    path : str or Path or None
        Named in errors.

    Raises
    ------
    InputError
        If the content is not well-formed XML, with line and column.
    """
    try:
        parser.Parse(data, True)
    except InputError:
        raise
    except expat.ExpatError as error:
        raise InputError(
            f"this is not well-formed XML ({expat.ErrorString(error.code)}); "
            "is it an XML file, and whole?",
            path=path,
            line=error.lineno,
            column=error.offset + 1,
        ) from None
    except (ValueError, LookupError) as error:
        raise InputError(
            f"this is not readable XML: {error}",
            path=path,
            line=parser.CurrentLineNumber,
            column=parser.CurrentColumnNumber + 1,
        ) from None
