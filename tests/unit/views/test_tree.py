"""The pool tree beside every page, whole or cut down to what is near."""

from types import SimpleNamespace

from ovcadmin.services.pools import Node
from ovcadmin.views.chrome import grow

#  1 ─ 2 ─ 3 ─ 4
#  │   │   └── 5
#  │   └── 6 ─ 7
#  └── 8 ─ 9 ─ 10
SHAPE = [(1, 0), (2, 1), (3, 2), (4, 3), (5, 3), (6, 2), (7, 3), (8, 1), (9, 2), (10, 3)]
PARENTS = {1, 2, 3, 6, 8, 9}
NODES = [
    Node(pool=SimpleNamespace(id=number), depth=depth, machines=0, has_children=number in PARENTS)
    for number, depth in SHAPE
]


def shape(branches):
    return {branch.node.pool.id: shape(branch.branches) for branch in branches}


def test_a_small_tree_is_shown_whole():
    assert shape(grow(NODES, None, whole=True)) == {
        1: {2: {3: {4: {}, 5: {}}, 6: {7: {}}}, 8: {9: {10: {}}}}
    }


def test_a_large_one_shows_the_top_and_what_is_around_the_present_pool():
    branches = grow(NODES, 3, whole=False)
    assert shape(branches) == {1: {2: {3: {4: {}, 5: {}}, 6: {}}, 8: {}}}
    two, eight = branches[0].branches
    assert two.path
    assert two.branches[0].here
    assert two.branches[1].hidden
    assert eight.hidden


def test_nothing_is_here_when_the_page_is_about_no_pool():
    assert shape(grow(NODES, None, whole=False)) == {1: {2: {}, 8: {}}}
    assert grow([], 3, whole=True) == []
