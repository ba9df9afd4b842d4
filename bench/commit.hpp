// The commit that this was built from; written at every build.
#pragma once

namespace tutti::bench {

/// "df0c8dc12345", with "+dirty" if files differed from the commit; empty if the tree was not a repository.
const char* commit();

}  // namespace tutti::bench
