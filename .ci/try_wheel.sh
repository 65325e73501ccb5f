#!/usr/bin/env bash
# Builds a wheel, installs it into a clean environment outside the checkout, uses it there, and removes it all.
# With the word `demo`, runs the whole demo there too.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT

"${PYTHON:-python3}" -m venv "$away/build"
"$away/build/bin/python" -m pip install --quiet build
mkdir "$away/source"
(cd "$root" && git ls-files -z | tar --null --files-from=- --create) | tar --extract --directory "$away/source"
"$away/build/bin/python" -m build --wheel --outdir "$away/dist" "$away/source" >"$away/build.log" 2>&1 || { tail -n 20 "$away/build.log"; exit 1; }
rm -rf "$away/source"

"${PYTHON:-python3}" -m venv "$away/venv"
"$away/venv/bin/python" -m pip install --quiet "$away"/dist/*.whl
cd "$away"
vidrep="$away/venv/bin/vidrep"
"$vidrep" --help >/dev/null
"$vidrep" sample -o clips --per-class 3 --quiet
"$vidrep" extract patches clips -o features.h5 --size 8 --labels clips/labels.csv --quiet
"$vidrep" train features.h5 -o pretrained --recipe demo-pretrain --steps 3 --set training.validation_fraction=0.3 --quiet
"$vidrep" finetune features.h5 --from pretrained -o actions --recipe demo-finetune --steps 3 --quiet
"$vidrep" predict actions clips/left --quiet
test "${1:-}" != demo || "$vidrep" demo -o demo
echo "the wheel works outside the checkout: $(basename dist/*.whl)"
