// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "loader/cli/check.h"
#include "loader/cli/commands.h"
#include "loader/plane/data_plane.h"
#include "loader/run.h"

namespace {

constexpr int wrong_use = 2;

void add_list(CLI::App& app, xlvs::cli::ListOptions& options) {
  auto* list = app.add_subcommand("list", "what is balanced now");
  list->add_flag("-n,--numeric", options.numeric, "addresses and ports as numbers");
  list->add_flag("--json", options.json, "for programs");
  auto* views = list->add_option_group("instead of backends, one of");
  views->add_flag("--stats", options.stats, "packets and bytes since the backend came");
  views->add_flag("--rate", options.rate, "packets and bytes a second");
  views->add_flag("-c,--connections", options.connections, "the flows");
  views->add_flag("--drops", options.drops, "what became of packets, with the reasons");
  views->require_option(0, 1);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Balances connections over backends at the network interface, by XDP."};
  app.set_version_flag("--version", "xlvs " XLVS_VERSION);
  app.require_subcommand(1);
  std::string pins = xlvs::data_plane::default_pins;
  app.add_option("--pins", pins, "the folder of bpffs that holds the maps")->capture_default_str();

  std::string file;
  bool verbose = false;
  auto* run_command = app.add_subcommand("run", "the agent, in the foreground");
  run_command->add_option("-c,--config", file, "the configuration")->required();
  run_command->add_flag("-v,--verbose", verbose, "also log what the libraries say");

  auto* check_command = app.add_subcommand("check", "validate a configuration");
  check_command->add_option("FILE", file, "the configuration")->required();

  std::vector<std::string> interfaces;
  xlvs::AttachMode mode = xlvs::AttachMode::native;
  const std::map<std::string, xlvs::AttachMode> modes{{"native", xlvs::AttachMode::native},
                                                      {"generic", xlvs::AttachMode::generic}};
  auto* attach_command = app.add_subcommand("attach", "put the data plane on interfaces");
  attach_command->add_option("INTERFACE", interfaces, "where")->required();
  attach_command->add_option("--mode", mode, "native or generic")
      ->transform(CLI::CheckedTransformer(modes, CLI::ignore_case).description(""))
      ->default_str("native");

  auto* detach_command = app.add_subcommand("detach", "take it off, from all if none is named");
  detach_command->add_option("INTERFACE", interfaces, "where");

  xlvs::cli::ListOptions options;
  add_list(app, options);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : wrong_use;
  }
  if (run_command->parsed()) return xlvs::run(file, pins, verbose);
  if (check_command->parsed()) return xlvs::cli::check(file);
  if (attach_command->parsed()) return xlvs::cli::attach(pins, interfaces, mode);
  if (detach_command->parsed()) return xlvs::cli::detach(pins, interfaces);
  return xlvs::cli::list(pins, options);
}
