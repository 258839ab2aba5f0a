"""A large picture by four servers, one of which is killed every two seconds and started again."""

from tests.interop.pictures import pictures


def test_a_picture_of_1000_by_700_points_is_the_undisturbed_one(tmp_path):
    disturbed, quiet, user, kills = pictures(tmp_path, 1000, 700, 4000, 8, 2.0, 400, 3)
    assert kills >= 3, user.output
    assert user.matches(r"goes on by its cookie")
    assert disturbed == quiet
