// Runs a kernel at every level that the CPU has, with its buffers at either edge of their pages, and compares
// the bytes with the scalar level's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "../../../csrc/cpu/isa.h"
#include "guarded.h"
#include "inputs.h"

namespace kernel_test {

using torchq::Isa;

inline const char* name_of(Isa level) { return torchq::kIsaNames[static_cast<int>(level)]; }

// For whoever has to explain a crash: the run in progress.
inline char running[512];

class Family {
 public:
  explicit Family(const char* name) : name_(name) {
    for (int level = 0; level < torchq::kLevels; ++level)
      if (torchq::runs(static_cast<Isa>(level))) levels_.push_back({static_cast<Isa>(level), 0, 0});
  }

  // run(level, edge) gives the bytes of all outputs.
  template <typename Run>
  void check(const std::string& what, const Run& run) {
    std::vector<uint8_t> expected;
    for (Tally& tally : levels_) {
      for (const Edge edge : {Edge::lower, Edge::upper}) {
        std::snprintf(running, sizeof(running), "%s %s, buffers at the %s guard page: %s", name_, name_of(tally.level),
                      edge == Edge::lower ? "lower" : "upper", what.c_str());
        const std::vector<uint8_t> got = run(tally.level, edge);
        if (tally.level == Isa::scalar && edge == Edge::lower) {
          expected = got;
          for (const uint8_t byte : got) digest_ = (digest_ ^ byte) * 0x100000001b3u;
        }
        count(tally, expected, got);
      }
    }
  }

  // Prints a line per level, best first. The digest is that of the integers, to compare machines by.
  void report(int64_t& passed, int64_t& failed) const {
    for (size_t i = levels_.size(); i-- > 0;) {
      const Tally& tally = levels_[i];
      std::printf("%-12s %-12s %6lld passed, %lld failed", name_, name_of(tally.level),
                  static_cast<long long>(tally.passed), static_cast<long long>(tally.failed));
      if (tally.level == Isa::scalar) std::printf("   digest %016llx", static_cast<unsigned long long>(digest_));
      std::printf("\n");
      passed += tally.passed;
      failed += tally.failed;
    }
  }

 private:
  struct Tally {
    Isa level;
    int64_t passed, failed;
  };

  static void count(Tally& tally, const std::vector<uint8_t>& expected, const std::vector<uint8_t>& got) {
    if (got == expected) {
      ++tally.passed;
      return;
    }
    constexpr int64_t kShown = 5;
    if (++tally.failed > kShown) return;
    size_t i = 0;
    while (i < std::min(got.size(), expected.size()) && got[i] == expected[i]) ++i;
    std::printf("FAILED %s: byte %zu of %zu is %d, the scalar level's %d\n", running, i, expected.size(),
                i < got.size() ? got[i] : -1, i < expected.size() ? expected[i] : -1);
  }

  const char* name_;
  std::vector<Tally> levels_;              // those that the CPU runs
  uint64_t digest_ = 0xcbf29ce484222325u;  // FNV-1a
};

// "name=1 other=2" for messages.
inline std::string describe(std::initializer_list<std::pair<const char*, double>> values) {
  std::string text;
  char number[64];
  for (const auto& [name, value] : values) {
    std::snprintf(number, sizeof(number), "%s%s=%.9g", text.empty() ? "" : " ", name, value);
    text += number;
  }
  return text;
}

}  // namespace kernel_test
