// The kernels without torch: every family at every level that the CPU has, against the scalar level, each
// buffer between pages that cannot be touched. `make sanitize` and `make aarch64` build it.
//
//   kernel_test [family or level ...]        fails if one of the named was not run
#include <csignal>
#include <cstring>
#include <set>
#include <string>

#include "kernel_test/check_depthwise.h"
#include "kernel_test/check_elementwise.h"
#include "kernel_test/check_embedding.h"
#include "kernel_test/check_gemm.h"
#include "kernel_test/check_interpolate.h"
#include "kernel_test/check_normalize.h"
#include "kernel_test/check_pool.h"
#include "kernel_test/check_quantize.h"
#include "kernel_test/check_recurrent.h"
#include "kernel_test/check_softmax.h"

namespace {

using namespace kernel_test;

struct Check {
  const char* family;
  void (*run)(Family& family, Random& random);
};
constexpr Check kChecks[] = {
    {"quantize", check_quantize},   {"gemm", check_gemm},
    {"depthwise", check_depthwise}, {"elementwise", check_elementwise},
    {"pool", check_pool},           {"normalize", check_normalize},
    {"softmax", check_softmax},     {"interpolate", check_interpolate},
    {"embedding", check_embedding}, {"recurrent", check_recurrent},
};

#if !defined(__SANITIZE_ADDRESS__)
// AddressSanitizer shows the place; without it, at least say what was run. Nothing here allocates.
void report_crash(int signal) {
  const char* parts[] = {"FAILED by touching memory that is not its own: ", running, "\n"};
  for (const char* part : parts)
    if (write(STDOUT_FILENO, part, std::strlen(part)) < 0) break;
  std::signal(signal, SIG_DFL);
  raise(signal);
}
#endif

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
#if !defined(__SANITIZE_ADDRESS__)
  std::signal(SIGSEGV, report_crash);
  std::signal(SIGBUS, report_crash);
#endif
  int64_t passed = 0, failed = 0;
  std::set<std::string> covered;
  for (const Check& check : kChecks) {
    Family family(check.family);
    Random random(1);
    check.run(family, random);
    family.report(passed, failed);
    covered.insert(check.family);
  }
  for (int level = 0; level < torchq::kLevels; ++level)
    if (torchq::runs(static_cast<torchq::Isa>(level))) covered.insert(name_of(static_cast<torchq::Isa>(level)));
  for (int i = 1; i < argc; ++i) {
    if (covered.count(argv[i]) > 0) continue;
    std::printf("FAILED: no test of %s was run\n", argv[i]);
    ++failed;
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(passed), static_cast<long long>(failed));
  return failed == 0 ? 0 : 1;
}
