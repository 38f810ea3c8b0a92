// What a bridge does with a function, and nothing else: starts it, leaves a daemon and a running call behind, says so,
// and waits to be killed.
#include <cstdio>

#include <unistd.h>

#include "emulator/world.h"

int main() {
  weir::test::World world;
  world.invoke(R"({"do":"daemon"})");
  world.run_until([&] { return world.counts().idle == 1; });
  const std::size_t call = world.begin(R"({"do":"sleep"})");
  world.begin(R"({"do":"daemon"})");
  world.run_until([&] { return world.counts().busy == 1 && world.counts().idle == 1; });
  std::printf("ready %s\n", world.folder().c_str());
  std::fflush(stdout);
  world.wait(call);
}
