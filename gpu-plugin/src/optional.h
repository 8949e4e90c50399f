// NVIDIA's libraries that are used where there are any: opened at run time.
#pragma once
#include <initializer_list>
#include <string>

struct Optional {
  /** Null if there is none. */
  void* handle = nullptr;
  /** Where it was looked for, and what came of it. */
  std::string tried;
};

/** What the environment says of a library; empty if nothing. */
std::string placeOf(const char* variable);

/**
 * Opens the first of `names` that there is: in `place`, a library or a folder, which may be one of Python's packages, where the
 * library lies in one of `subfolders`; or, where `place` is empty, as the system finds libraries.
 */
Optional openOptional(const std::string& place, std::initializer_list<const char*> names,
                      std::initializer_list<const char*> subfolders);
