#!/bin/sh
# Five minutes: from nothing to a layer of your own in a trained flow. To be read line by line, or run as it is, in an
# empty folder and in an environment that has zoo:
#
#   sh five-minutes.sh
set -eu

# 1. A new plugin: a package with one component, its tests, and a spec that uses it between couplings on two moons.
zoo new plugin mine
cd zoo-mine

# 2. Install it in place: what is edited from now on takes effect at once. Specs can name mine.leaky.
python -m pip install -e '.[test]'

# 3. Edit one formula, here or in an editor. The rectifier shrinks what lies below zero; let it stretch what lies above
#    by as much. In zoo_mine/leaky.py that is the map and its log-determinant (the inverse is the same with 1 / slope) ...
sed -i.bak \
    -e 's|slope \* x, x)|slope * x, x / slope)|' \
    -e 's|torch.zeros_like(x))|torch.full_like(x, -math.log(slope)))|' \
    zoo_mine/leaky.py
#    ... and what the docstring says of them: summary, formula and example.
sed -i.bak \
    -e 's|below zero\.|below zero and stretches what lies above.|' \
    -e 's|\\max(x, 0) + s|\\max(x, 0) / s + s|' \
    -e 's|\\#.*\\log s|-\\log s \\sum_j \\operatorname{sign} x_j|' \
    -e 's|\[\[1.0, -1.0\]\], -0.6931|[[2.0, -1.0]], 0.0|' \
    zoo_mine/leaky.py
rm zoo_mine/leaky.py.bak
zoo show mine.leaky

# 4. Is it right? Its example, the laws of bijections (log-determinant against the autograd Jacobian, round trips,
#    gradients, dtypes, state, compilation) on five shapes, and the spec. Leave out the second line of the first edit to
#    see a law say what is wrong.
python -m pytest

# 5. Train. STEPS=100 is enough to see that it runs; the spec's own number is 1000.
zoo train specs/leaky.yaml --steps "${STEPS:-1000}" --name first

# 6. Look at what it drew. "zoo export runs/leaky/first" writes the file to share, which others open once they have
#    installed the package.
zoo sample runs/leaky/first -n 2000 -o moons.png
