// SPDX-License-Identifier: MIT
// IPVS and xlvs side by side: the same service, the same frames, the same changes; who serves whom?
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <set>

#include "loader/base/log.h"
#include "loader/state/words.h"
#include "tests/vm/differential/errors.h"
#include "tests/vm/differential/frames.h"
#include "tests/vm/differential/generate.h"
#include "tests/vm/differential/ipvs_side.h"
#include "tests/vm/differential/runner.h"
#include "tests/vm/differential/sequences.h"
#include "tests/vm/differential/xlvs_side.h"

namespace xlvs::differential {

namespace {

constexpr uint16_t first_port = 2000;

// A case's port follows from its number, so that it is the same case also when it runs alone; the
// next ones are for when it has to run again.
uint16_t port_of(uint32_t number) {
  constexpr uint32_t ports_of_a_case = 4;
  constexpr uint32_t most_cases = 15'000;
  return static_cast<uint16_t>(first_port + number % most_cases * ports_of_a_case);
}

struct Options {
  uint64_t seed = 1;
  uint32_t first = 0;
  uint32_t cases = 500;
  bool sequences = false;
  bool errors = false;
  bool frames = false;
  bool verbose = false;
};

struct Totals {
  size_t cases = 0;
  size_t packets = 0;
  size_t wrong = 0;

  void add(const Report& report) {
    ++cases;
    packets += report.packets;
    if (report.wrong) ++wrong;
  }
};

void say_wrong(const std::string& what, const Report& report) {
  std::cout << "---- " << what << "\n" << report.script << "^^^^ " << *report.wrong << "\n";
}

void run_sequences(Runner& runner, Totals& totals) {
  for (const Sequence& sequence : sequences(first_port)) {
    std::string chosen;
    for (const Case& one : sequence.cases) {
      const Report report = runner.run(one);
      totals.add(report);
      if (report.wrong) say_wrong(sequence.name, report);
      for (const Answer& answer : report.chosen) chosen += answer.text();
    }
    if (chosen == sequence.chosen) continue;
    ++totals.wrong;
    std::cout << sequence.name << ": IPVS chose " << chosen << ", known is " << sequence.chosen
              << "\n";
  }
}

void run_errors(Side& ipvs, Side& xlvs, const Options& options, Totals& totals) {
  for (const ErrorCase& one : error_cases(first_port)) {
    const auto wrong = compare_error(ipvs, xlvs, one);
    ++totals.cases;
    totals.packets += 2;
    if (wrong) ++totals.wrong;
    if (wrong || options.verbose)
      std::cout << one.name << ": " << wrong.value_or("as it should be") << "\n";
  }
}

// "6.12"
std::string kernel() {
  utsname names{};
  uname(&names);
  const std::string release = names.release;
  return release.substr(0, release.find('.', release.find('.') + 1));
}

// IPVS forgets what was reset after 10 s, xlvs with the sweep after that: what a case says that
// took as long, on a very busy machine, is worth nothing. Then it runs again, at another port.
Report run_in_time(Runner& runner, Case one) {
  using std::chrono::steady_clock;
  constexpr int attempts = 3;
  Report report;
  for (int attempt = 0; attempt < attempts; ++attempt, ++one.setup.port) {
    const auto begin = steady_clock::now();
    report = runner.run(one);
    if (!report.wrong || steady_clock::now() - begin < std::chrono::seconds(8)) break;
  }
  return report;
}

// A kernel without twos (6.1 of Debian's) takes turns instead.
void leave_out(Case& one, const std::set<Scheduler>& known) {
  Scheduler& scheduler = one.setup.scheduling.scheduler;
  if (!known.contains(scheduler)) scheduler = Scheduler::rr;
}

void run_cases(Runner& runner, const Options& options, const std::set<Scheduler>& known,
               Totals& totals) {
  for (uint32_t number = options.first; number < options.first + options.cases; ++number) {
    Case one = generate(options.seed, number, port_of(number));
    leave_out(one, known);
    const Report report = run_in_time(runner, one);
    totals.add(report);
    if (options.verbose) std::cout << "---- case " << number << "\n" << report.script;
    if (!report.wrong) continue;
    say_wrong("case " + std::to_string(number) + " of seed " + std::to_string(options.seed),
              report);
    std::cout << "     again: tools/differential --kernel " << kernel() << " --seed "
              << options.seed << " --first " << number << " --cases 1\n";
  }
}

int run(const Options& options) {
  const std::set<Scheduler> known = IpvsSide::load();
  if (known.empty()) {
    std::cerr << "differential: no IPVS in this kernel\n";
    return 2;
  }
  log::start();
  const Namespace world = Namespace::make();
  IpvsSide ipvs(world);
  XlvsSide xlvs(world);
  Runner runner(ipvs, xlvs);
  Totals totals;
  const auto begin = std::chrono::steady_clock::now();
  if (options.frames) return compare_frames(ipvs, xlvs) ? 0 : 1;
  if (options.sequences) {
    run_sequences(runner, totals);
  } else if (options.errors) {
    run_errors(ipvs, xlvs, options, totals);
  } else {
    std::cout << "seed " << options.seed << "\n";
    run_cases(runner, options, known, totals);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << totals.cases << " cases, " << totals.packets << " packets to each, " << totals.wrong
            << " wrong, " << took.count() << " s\n";
  return totals.wrong == 0 ? 0 : 1;
}

}  // namespace

}  // namespace xlvs::differential

int main(int argc, char** argv) {
  xlvs::differential::Options options;
  CLI::App app("IPVS and xlvs side by side; for a guest, as root.");
  app.add_option("--seed", options.seed, "of the cases");
  app.add_option("--first", options.first, "number of the first case");
  app.add_option("--cases", options.cases, "how many");
  app.add_flag("--sequences", options.sequences, "what IPVS is known to choose, instead");
  app.add_flag("--errors", options.errors, "ICMP errors and what becomes of them, instead");
  app.add_flag("--frames", options.frames, "what leaves by tunnels, byte for byte, instead");
  app.add_flag("-v,--verbose", options.verbose, "print every case");
  CLI11_PARSE(app, argc, argv);
  return xlvs::differential::run(options);
}
