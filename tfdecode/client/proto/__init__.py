"""The protobuf messages of the gRPC client."""
