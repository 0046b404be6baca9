"""The forms that a message can have as sound. `form` says what each of them offers and how a new one is added."""

import dataclasses
import importlib
import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from stegano_tf.audio.forms.form import Form
from stegano_tf.audio.forms.modem import lossy

FORMS: tuple[type[Form], ...] = tuple(
    importlib.import_module(f"{__name__}.{module}").FORM
    for module in ("carried", "stealth", "modem", "marked", "plain", "raw", "bare")
)
"""In the order in which a reader asks them. A frame in any channel goes before two letters, which chance writes too. A
message that was put into a recording goes before what the recording held before. In a long sound, those go first that
are searched block by block: they take little memory."""


class OptionError(ValueError):
    """Options that do not go together; the text names them."""


def choose(given: Mapping[str, object], spell: Callable[[str], str] = str) -> Form:
    """Returns the form that has all the given options; those that are None or False are not given.

    Args:
      given: options by name: the fields of the classes in `FORMS`.
      spell: writes the name of an option as the user knows it.

    Raises:
      OptionError: no form has all of them, one of them takes another one, or a value is impossible.
      TypeError: an option is none of any form.

    Example:
      >>> choose({"parity": 0.1, "carrier": "song.wav"}).name
      'frame v1 in the low bits of a recording'
    """
    fields = {form: {field.name for field in dataclasses.fields(form)} for form in FORMS}
    unknown = set(given) - set().union(*fields.values())
    if unknown:
        raise TypeError(f"no form of sound has the options {', '.join(sorted(unknown))}")
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    for count in range(1, len(given) + 1):
        for names in itertools.combinations(given, count):
            if not any(of_form.issuperset(names) for of_form in fields.values()):
                first, *others = map(spell, names)
                raise OptionError(f"{first} does not go with {' and '.join(others)}")
    whole = [form for form in FORMS if _required(form) <= set(given)]
    able = [form for form in FORMS if fields[form].issuperset(given)]
    form = next((form for form in able if form in whole), None)
    if form is None:
        alone = [name for name in given if not any(name in fields[form] for form in whole)]
        missing = sorted(_required(able[0]) - set(given))
        raise OptionError(f"{spell([*alone, *given][0])} takes {' and '.join(map(spell, missing))}")
    try:
        return form(**given)
    except ValueError as error:
        raise OptionError(str(error)) from error


def for_file(path: str | os.PathLike, options: Mapping[str, object]) -> dict[str, object]:
    """Returns the options, with those that a file's name implies: what is lossy is survived in the profile "wide"."""
    survives = Path(path).suffix.lower() in lossy.CODECS
    chosen = {name for name, value in options.items() if value is not None and value is not False}
    return {**options, "survive": "wide"} if survives and chosen <= {"codec_rate", "split"} else dict(options)


def _required(form: type[Form]) -> set[str]:
    return {field.name for field in dataclasses.fields(form) if field.default is dataclasses.MISSING}
