from shoal.bff.openapi import schema


def test_the_schema_names_every_screen_and_action_and_no_file_of_the_pages() -> None:
    document = schema()  # there is neither an API nor a built page here

    assert str(document["openapi"]).startswith("3.1")
    paths = document["paths"]
    assert isinstance(paths, dict)
    assert {"/bff/login", "/bff/screens/fleet", "/bff/actions/alerts/{alert_id}/acknowledge"} <= set(paths)
    assert all(path.startswith("/bff/") for path in paths)
