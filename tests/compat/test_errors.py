import pytest
from tests.compat.test_compat import output


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("MLRunAccessDeniedError", 403),
        ("MLRunBadRequestError", 400),
        ("MLRunConflictError", 409),
        ("MLRunInternalServerError", 500),
        ("MLRunInvalidArgumentError", 400),
        ("MLRunMethodNotAllowedError", 405),
        ("MLRunNotFoundError", 404),
        ("MLRunNotImplementedServerError", 501),
        ("MLRunPreconditionFailedError", 412),
        ("MLRunRuntimeError", 500),
        ("MLRunServiceUnavailableError", 503),
        ("MLRunTimeoutError", 504),
        ("MLRunUnauthorizedError", 401),
        ("MLRunUnprocessableEntityError", 422),
    ],
)
def test_the_caller_gets_the_status_of_the_error_that_a_step_raises(name, status):
    code = f"""
        import servegraph.compat, mlrun

        def fail(body):
            raise mlrun.errors.{name}("why")

        fn = mlrun.new_function("f", kind="serving")
        fn.set_topology("flow").to(name="fail", handler="fail").respond()
        with fn.to_mock_server() as server:
            response = server.test("/", 1, silent=True)
        print(response.status_code, response.body["error"], response.body["type"])
        assert mlrun.errors.err_to_status_code(response.error) == response.status_code
        assert mlrun.errors.err_to_str(response.error) == "why"
    """
    assert output(code)[0].startswith(f"{status} why ")


def test_what_servegraph_raises_is_caught_by_the_names_of_mlrun():
    code = """
        import servegraph.compat, mlrun
        from mlrun.errors import MLRunBaseError, MLRunInvalidArgumentError, MLRunNotFoundError
        from mlrun.serving.states import GraphError

        def caught(kind, action):
            try:
                action()
            except kind as error:
                return type(error).__name__

        fn = mlrun.new_function("f", kind="serving")
        print(caught(MLRunInvalidArgumentError, lambda: fn.set_topology("bogus")))
        print(caught(GraphError, lambda: fn.set_topology("bogus")), caught(ValueError, lambda: fn.set_topology("bogus")))
        fn.add_model("m", class_name=mlrun.serving.V2ModelServer, model_path=".")
        print(caught(MLRunBaseError, lambda: fn.to_mock_server()))

        def bad():
            raise servegraph.errors.BadEvent("no")

        def missing():
            raise servegraph.errors.NotFound("no")

        print(caught(MLRunInvalidArgumentError, bad), caught(MLRunNotFoundError, missing))
        try:
            missing()
        except MLRunInvalidArgumentError:
            raise SystemExit(1)
        except MLRunNotFoundError:
            pass
    """
    assert output(code) == ["GraphError", "GraphError GraphError", "GraphError", "BadEvent NotFound"]
