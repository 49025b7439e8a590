// Copies from card to card.
#include "cuda/device.h"

namespace googlenet::cuda {

// Where cards reach each other (NVLink, or PCIe below one switch) the copy goes directly once that is allowed, else CUDA
// takes it through the host. Whether it was allowed before, or to too many peers, makes no difference to what arrives.
void pull(gn_device& device, void* to, const gn_device& other, const void* from, int64_t bytes) {
  if (device.peer != other.index) {
    int reaches = 0;
    check(cudaDeviceCanAccessPeer(&reaches, device.index, other.index), "asking how two devices are connected");
    if (reaches && cudaDeviceEnablePeerAccess(other.index, 0) != cudaSuccess) cudaGetLastError();
    device.peer = other.index;
  }
  check(cudaMemcpyPeerAsync(to, device.index, from, other.index, size_t(bytes), device.stream),
        "copying between devices");
}

}  // namespace googlenet::cuda
