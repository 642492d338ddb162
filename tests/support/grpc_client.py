"""A gRPC server as the C core of gRPC sees it, for the tests.

    grpc_client.py TARGET services                     the services that reflection lists, one a line
    grpc_client.py TARGET describe SERVICE             its methods: NAME REQUEST RESPONSE, one a line
    grpc_client.py TARGET health [SERVICE]             SERVING, NOT_SERVING, …
    grpc_client.py TARGET watch-health COUNT [SERVICE] the first COUNT states, each as it comes
    grpc_client.py TARGET call SERVICE/METHOD JSON     the answer as JSON

TARGET is HOST:PORT or unix:PATH. Options: --tls CA [--cert CERT --key KEY], --metadata NAME=VALUE (again and again),
--deadline SECONDS. A status other than OK is printed as `CODE details` on standard error; the exit code is then 1.
Messages are built from reflected descriptors: nothing of the project is compiled into this client.
"""

import argparse
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def main():
    options = parse_arguments()
    with connect(options) as channel:
        try:
            COMMANDS[options.command](channel, options)
        except grpc.RpcError as error:
            print(error.code().name, error.details(), file=sys.stderr)
            return 1
        except KeyError as error:
            # The descriptor pool says so of a name that the server does not describe.
            print("UNKNOWN_NAME", error, file=sys.stderr)
            return 1
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--tls", metavar="CA")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--metadata", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--deadline", type=float, default=10.0)
    return parser.parse_args()


def connect(options):
    if not options.tls:
        return grpc.insecure_channel(options.target)
    credentials = grpc.ssl_channel_credentials(read(options.tls), read(options.key), read(options.cert))
    return grpc.secure_channel(options.target, credentials)


def read(path):
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


def services(channel, _options):
    for name in sorted(ProtoReflectionDescriptorDatabase(channel).get_services()):
        print(name)


def describe(channel, options):
    (name,) = options.arguments
    for method in reflected(channel).FindServiceByName(name).methods:
        print(method.name, method.input_type.full_name, method.output_type.full_name)


def health(channel, options):
    request = health_pb2.HealthCheckRequest(service=first(options.arguments))
    answer = health_pb2_grpc.HealthStub(channel).Check(request, **call_options(options))
    print(state_name(answer))


def watch_health(channel, options):
    count = int(options.arguments[0])
    request = health_pb2.HealthCheckRequest(service=first(options.arguments[1:]))
    stream = health_pb2_grpc.HealthStub(channel).Watch(request, **call_options(options))
    for _, answer in zip(range(count), stream):
        # Each line at once: the test waits for it before it goes on.
        print(state_name(answer), flush=True)
    stream.cancel()


def call(channel, options):
    path, text = options.arguments
    service, name = path.rsplit("/", 1)
    method = reflected(channel).FindServiceByName(service).methods_by_name[name]
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    unary = channel.unary_unary(
        "/" + path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )
    reply = unary(json_format.Parse(text, request()), **call_options(options))
    print(json_format.MessageToJson(reply, indent=None))


def reflected(channel):
    return DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


def call_options(options):
    metadata = [tuple(pair.split("=", 1)) for pair in options.metadata]
    return {"timeout": options.deadline, "metadata": metadata}


def state_name(answer):
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def first(arguments):
    return arguments[0] if arguments else ""


COMMANDS = {
    "services": services,
    "describe": describe,
    "health": health,
    "watch-health": watch_health,
    "call": call,
}

if __name__ == "__main__":
    sys.exit(main())
