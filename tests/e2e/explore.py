"""Calls a gRPC server by nothing but its reflection, as grpcurl does, for machines without grpcurl.

explore.py ADDRESS list
explore.py ADDRESS SERVICE/METHOD JSON
"""

import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def call(channel, database, path, text):
    """Yields the answers to one request."""
    service_name, method_name = path.rsplit("/", 1)
    pool = descriptor_pool.DescriptorPool(database)
    method = pool.FindServiceByName(service_name).methods_by_name[method_name]
    request = json_format.Parse(text, message_factory.GetMessageClass(method.input_type)())
    answer_type = message_factory.GetMessageClass(method.output_type)
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    stub = make(
        f"/{path}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer_type.FromString,
    )
    answers = stub(request)
    yield from answers if method.server_streaming else [answers]


def main():
    address, what = sys.argv[1:3]
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        if what == "list":
            print("\n".join(database.get_services()))
            return
        try:
            for answer in call(channel, database, what, sys.argv[3]):
                print(json_format.MessageToJson(answer))
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")


main()
