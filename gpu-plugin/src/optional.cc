#include "optional.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdlib>
#include <vector>

std::string placeOf(const char* variable) {
  const char* place = std::getenv(variable);
  return place ? place : "";
}

Optional openOptional(const std::string& place, std::initializer_list<const char*> names,
                      std::initializer_list<const char*> subfolders) {
  std::vector<std::string> paths;
  struct stat status;
  if (place.empty()) paths.assign(names.begin(), names.end());
  else if (stat(place.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) paths.push_back(place);
  else {
    for (const char* name : names) paths.push_back(place + "/" + name);
    for (const char* subfolder : subfolders)
      for (const char* name : names) paths.push_back(place + "/" + subfolder + "/" + name);
  }
  Optional found;
  for (const std::string& path : paths) {
    found.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (found.handle) {
      found.tried = path;
      return found;
    }
    found.tried += (found.tried.empty() ? "" : "; ") + std::string(dlerror());
  }
  return found;
}
