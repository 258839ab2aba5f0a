"""Parameter files of fractal images: RSPLIB's XML form (``.fsf``, in the handbook ``.fgp``).

Root ``FractalV1``; what it says of colours and resolution is not used, as in the original.
"""

from __future__ import annotations

from math import isfinite, nan
from pathlib import Path
from xml.etree import ElementTree

from rserpool.services import fractal

SUFFIXES = (".fsf", ".fgp")
SAMPLES = Path(__file__).parent / "fgpconfig"
ALGORITHMS = {"Mandelbrot": fractal.MANDELBROT, "MandelbrotN": fractal.MANDELBROT_N}
MAX_ITERATIONS, EXPONENT = 123, 2.0  # where a file does not say
DEFAULT = fractal.Parameter(1, 1, 1024, fractal.MANDELBROT, complex(-1.5, 1.5), complex(1.5, -1.5))
LONGEST = 1 << 20  # bytes of a file


def read(path: Path) -> tuple[fractal.Parameter, str]:
    """Return a file's parameters (width and height are 1) and a warning or "". OSError, ValueError."""
    with path.open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"{path}: too long for a parameter file")
    if b"<!ENTITY" in content:
        raise ValueError(f"{path}: entities are not allowed")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"{path}: {error}") from None
    algorithm = root.find("Algorithm")
    if root.tag != "FractalV1" or algorithm is None:
        raise ValueError(f"{path}: no parameters of a fractal image")

    def number(name: str, default: float | None = None) -> float:
        text = algorithm.findtext(name)
        if text is None and default is not None:
            return default
        try:
            value = float(text or "")
        except ValueError:
            value = nan
        if not isfinite(value):
            raise ValueError(f"{path}: {name.rpartition('/')[2]} is {text!r}, not a number")
        return value

    name = (algorithm.findtext("AlgorithmName") or "").strip()
    warning = "" if name in ALGORITHMS else f"{path}: unknown algorithm {name!r}; Mandelbrot is used"
    parameter = fractal.Parameter(
        1,
        1,
        int(number("Useroptions/MaxIterations", MAX_ITERATIONS)),
        ALGORITHMS.get(name, fractal.MANDELBROT),
        complex(number("C1Real"), number("C1Imag")),
        complex(number("C2Real"), number("C2Imag")),
        number("Useroptions/N", EXPONENT),
    )
    try:
        fractal.check(parameter)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return parameter, warning


def text(p: fractal.Parameter) -> str:
    """Return the content of a file with these parameters."""
    name = next((n for n, value in ALGORITHMS.items() if value == p.algorithm), "Mandelbrot")
    return f"""<!DOCTYPE XMLFractalSave>
<FractalV1>
 <Algorithm>
  <AlgorithmName>{name}</AlgorithmName>
  <C1Real>{p.c1.real!r}</C1Real>
  <C1Imag>{p.c1.imag!r}</C1Imag>
  <C2Real>{p.c2.real!r}</C2Real>
  <C2Imag>{p.c2.imag!r}</C2Imag>
  <Useroptions>
   <MaxIterations>{p.max_iterations}</MaxIterations>
   <N>{p.n:g}</N>
  </Useroptions>
 </Algorithm>
</FractalV1>
"""


def listing(folder: Path) -> list[Path]:
    """Return the parameter files of a folder, sorted. OSError if there is no such folder."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
