// Memory whose neighbour cannot be touched. AddressSanitizer sees what the compiler instruments; a masked
// load or inline assembly it does not, and under an emulator there is none: a page without access stops those
// too.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace kernel_test {

// Which end of a buffer lies directly at a page without access; there is one at the other end as well.
enum class Edge { lower, upper };

class Pages {
 public:
  // The upper edge lies behind the last byte, or behind a few more if the alignment asks for it.
  Pages(size_t bytes, Edge edge, size_t alignment = 1) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    inside_ = (bytes + page - 1) / page * page;
    all_ = inside_ + 2 * page;
    void* memory = mmap(nullptr, all_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    begin_ = static_cast<uint8_t*>(memory);
    allow(PROT_READ | PROT_WRITE);
    data_ = begin_ + page + (edge == Edge::lower ? 0 : (inside_ - bytes) / alignment * alignment);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { munmap(begin_, all_); }

  uint8_t* data() const { return data_; }
  void make_read_only() { allow(PROT_READ); }

 private:
  static void fail(const char* call) {
    std::perror(call);
    std::exit(2);
  }
  void allow(int access) {
    if (inside_ > 0 && mprotect(begin_ + (all_ - inside_) / 2, inside_, access) != 0) fail("mprotect");
  }

  size_t inside_, all_;
  uint8_t* begin_;
  uint8_t* data_;
};

// Values that a kernel may read, but not write.
template <typename T>
class Input {
 public:
  Input(const std::vector<T>& values, Edge edge) : pages_(values.size() * sizeof(T), edge) {
    if (!values.empty()) std::memcpy(pages_.data(), values.data(), values.size() * sizeof(T));
    pages_.make_read_only();
  }
  const T* data() const { return reinterpret_cast<const T*>(pages_.data()); }

 private:
  Pages pages_;
};

// What a kernel writes. Elements that it leaves alone keep a pattern, so that they compare like the others.
template <typename T>
class Output {
 public:
  Output(int64_t n, Edge edge, size_t alignment = 1)
      : pages_(static_cast<size_t>(n) * sizeof(T), edge, alignment), n_(static_cast<size_t>(n)) {
    if (n > 0) std::memset(pages_.data(), kUntouched, n_ * sizeof(T));
  }
  static constexpr uint8_t kUntouched = 0xa5;

  T* data() const { return reinterpret_cast<T*>(pages_.data()); }
  std::vector<uint8_t> bytes() const { return std::vector<uint8_t>(pages_.data(), pages_.data() + n_ * sizeof(T)); }

 private:
  Pages pages_;
  size_t n_;
};

// A NaN's sign and payload follow the order of an instruction's operands; no promise covers them.
inline std::vector<uint8_t> with_one_nan(std::vector<uint8_t> floats) {
  for (size_t i = 0; i + 4 <= floats.size(); i += 4) {
    uint32_t bits;
    std::memcpy(&bits, &floats[i], 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u;
    std::memcpy(&floats[i], &bits, 4);
  }
  return floats;
}

}  // namespace kernel_test
