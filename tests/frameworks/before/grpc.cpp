// SPDX-License-Identifier: MIT OR Apache-2.0
#include <grpcpp/grpcpp.h>

void before(grpc::ServerBuilder& builder) {
  builder.AddListeningPort("[::]:50051", grpc::InsecureServerCredentials());
  const auto server = builder.BuildAndStart();
}
