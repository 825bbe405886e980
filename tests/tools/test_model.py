"""./run model, of the smallest models: so that what is written in docs/model can be built, and holds."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_models_hold():
    done = subprocess.run([sys.executable, ROOT / "tests" / "model.py", "--quick"], env=os.environ, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and done.stdout.endswith("3 passed, 0 failed\n"), done.stdout
