# Writes OUTPUT, a C++ file that defines tutti::build_id() and tutti::version(), only when its content changes.
file(GLOB_RECURSE sources ${SOURCE_DIR}/include/*.h ${SOURCE_DIR}/include/*.hpp ${SOURCE_DIR}/common/*.[ch]pp ${SOURCE_DIR}/worker/*.[ch]* ${SOURCE_DIR}/worker/*.py ${SOURCE_DIR}/python/tutti/members/*.py ${SOURCE_DIR}/coordinator/*.[ch]pp
  ${SOURCE_DIR}/evaluation/*.[ch]pp ${SOURCE_DIR}/config/*.[ch]pp ${SOURCE_DIR}/images/*.[ch]pp ${SOURCE_DIR}/merge/*.[ch]pp
  ${SOURCE_DIR}/results/*.[ch]pp ${SOURCE_DIR}/program/*.[ch]pp)
list(SORT sources)
set(digest "${SALT}")
foreach(source IN LISTS sources)
  file(SHA256 ${source} hash)
  string(SHA256 digest "${digest}${hash}")
endforeach()
string(SUBSTRING ${digest} 0 16 digest)
set(text "// Generated. The identity of this build.
#include \"common/build_id.hpp\"
namespace tutti {
const char* build_id() { return \"${VERSION}-${digest}\"; }
const char* version() { return \"${VERSION}\"; }
}  // namespace tutti
")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "${text}" @ONLY)  # writes only what is new
