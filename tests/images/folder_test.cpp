// A folder of images as a source: which files, in which order, with which labels, and what is said of those that are
// broken.
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/resample.hpp"
#include "common/unique_fd.hpp"
#include "common/usable_cores.hpp"
#include "images/codecs.hpp"
#include "images/formats.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/reading.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;
using images::make_folder;

const std::string kPictures = test::in_sources("tests/images/data/encoded/");
constexpr Resize kResize{ResizeRule::shorter, 10, 10, 8, 9, Interpolation::bicubic};

struct ImageFolder : TemporaryFolder {
  void put(const std::string& name, const std::string& image = "plain.jpg") const {
    fs::create_directories((*this / name).parent_path());
    fs::copy_file(kPictures + image, *this / name);
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((*this / name).parent_path());
    std::ofstream(*this / name) << text;
  }
  std::unique_ptr<Source> open(bool skip = false, std::uint32_t threads = 3) const {
    return make_folder(path(), kResize, {{threads}, skip});
  }
};

std::vector<std::string> names_of(const Source& source) {
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < source.count(); ++i) names.push_back(source.image_name(i));
  return names;
}

/// Whether a file of the tests is an image of a format that this build has.
bool is_read(const fs::path& file) {
  if (!images::is_called_image(file)) return false;
  std::ifstream in(file, std::ios::binary);
  std::vector<char> begin(16);
  in.read(begin.data(), 16);
  return images::is_built_in(images::format_of(std::as_bytes(std::span(begin))).value());
}

std::vector<std::uint8_t> bytes_of(Source& source, const std::vector<std::uint64_t>& indices) {
  std::vector<std::uint8_t> bytes(indices.size() * source.shape().elements(), 7);
  source.read_bytes(indices, bytes, {});
  return bytes;
}

TEST_CASE("a flat folder has images in the order of their names and no labels") {
  const ImageFolder folder;
  folder.put("b.jpg");
  folder.put("a.PNG", "alpha.png");
  folder.put("B.jpeg", "grey.jpg");
  folder.put(".hidden.jpg");
  folder.write("notes.txt", "no image");
  const auto source = folder.open();
  CHECK(names_of(*source) == std::vector<std::string>{"B.jpeg", "a.PNG", "b.jpg"});
  CHECK(source->name() == "folder " + folder.path().string());
  CHECK(source->shape() == ImageShape{3, 8, 9});
  CHECK_FALSE(source->labelled());
  CHECK(source->classes() == 0);
  CHECK(source->class_name(0).empty());
  CHECK(source->has_bytes());
  CHECK(source->skipped().empty());
}

TEST_CASE("sub-folders are classes in the order of their names") {
  const ImageFolder folder;
  folder.put("dog/1.jpg");
  folder.put("cat/z.jpg", "grey.jpg");
  folder.put("cat/deep/a.png", "plain.png");
  folder.put("Ant/0.jpg");
  fs::create_directories(folder / "bee");  // a class without images
  folder.write("readme.txt", "");
  const auto source = folder.open();
  CHECK(names_of(*source) == std::vector<std::string>{"Ant/0.jpg", "cat/deep/a.png", "cat/z.jpg", "dog/1.jpg"});
  CHECK(source->labelled());
  CHECK(source->classes() == 4);
  CHECK(source->class_name(1) == "bee");
  CHECK(source->class_name(3) == "dog");
  CHECK(source->class_name(4).empty());
  CHECK(read(*source, all_of(*source)).labels == std::vector<std::int64_t>{0, 2, 2, 3});
}

TEST_CASE("an image is decoded and resized and cropped and its float32 are its bytes by 255") {
  const ImageFolder folder;
  folder.put("a.png", "plain.png");
  const auto source = folder.open();
  images::DecodedImage image;
  std::ifstream in(kPictures + "plain.png", std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(in), {}};
  images::decode(std::as_bytes(std::span(file)), {}, image);
  Resampler resampler(kResize, image.shape);
  std::vector<std::uint8_t> wanted(3 * 8 * 9);
  resampler.apply_interleaved(image.values(), wanted);
  CHECK(bytes_of(*source, {0}) == wanted);
  const auto floats = read(*source, {0}).pixels;
  for (std::size_t i = 0; i < wanted.size(); ++i) REQUIRE(floats[i] == static_cast<float>(wanted[i]) / 255.0F);
}

TEST_CASE("a JPEG is decoded in full by default and close to that at a part of its size") {
  const ImageFolder folder;
  fs::copy_file(test::in_sources("tests/images/data/ramp.jpg"), folder / "ramp.jpg");
  const Resize resize{ResizeRule::shorter, 8, 8, 8, 8, Interpolation::bicubic};
  std::ifstream in(test::in_sources("tests/images/data/ramp_8x8.rgb"), std::ios::binary);
  const std::vector<char> pillow{std::istreambuf_iterator<char>(in), {}};
  const auto farthest = [&](const images::FolderReading& reading) {
    const auto bytes = bytes_of(*make_folder(folder.path(), resize, reading), {0});
    int most = 0;
    for (std::size_t i = 0; i < pillow.size() / 3; ++i)  // the planes of a grey image are alike
      most = std::max(most, std::abs(bytes[i] - static_cast<std::uint8_t>(pillow[3 * i])));
    return most;
  };
  REQUIRE(pillow.size() == 8 * 8 * 3);
  CHECK(farthest({{1}}) <= 1);  // a rounding of another JPEG library
  const int reduced = farthest({{1, true}});
  CHECK(reduced >= 1);
  CHECK(reduced <= 8);  // a wrong width is 43 levels away
}

TEST_CASE("images come the same in any order and on any number of threads") {
  const ImageFolder folder;
  for (const auto& entry : fs::directory_iterator(kPictures))
    if (is_read(entry.path())) folder.put("x/" + entry.path().filename().string(), entry.path().filename());
  for (int i = 0; i < 20; ++i) folder.put("y/" + std::to_string(i) + ".jpg");
  const auto source = folder.open();
  CHECK(source->count() >= 34);
  CHECK(any_order_gives_the_same(*source));
  const auto all = bytes_of(*source, all_of(*source));
  CHECK(bytes_of(*folder.open(false, 1), all_of(*source)) == all);
  CHECK(bytes_of(*folder.open(true, 16), all_of(*source)) == all);
  CHECK(bytes_of(*folder.open(false, 0), {5}) == bytes_of(*source, {5}));
}

TEST_CASE("as many threads decode as the process has usable cores and at most 16") {
  CHECK(images::decode_threads(0) == std::min(usable_cores(), 16U));
  CHECK(images::decode_threads(5) == 5);
}

TEST_CASE("a broken image is an error that names the first one") {
  const ImageFolder folder;
  for (int i = 0; i < 40; ++i) folder.put("a" + std::to_string(10 + i) + ".jpg");
  folder.write("a19b.jpg", "no image at all");
  folder.write("a44b.jpg", "nor this");
  const auto source = folder.open();
  for (int round = 0; round < 5; ++round) {
    const auto error = error_of([&] { bytes_of(*source, all_of(*source)); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == (folder / "a19b.jpg").string() + " cannot be decoded");
    CHECK(error->detail() == "it is not a JPEG, PNG, WebP, TIFF or BMP");
    CHECK(contains(error->hint(), "on_broken: skip"));
  }
  CHECK(bytes_of(*source, {0}).size() == 216);  // it can be asked again
}

TEST_CASE("an image that is a Git LFS pointer is reported as one even if broken images are left out") {
  const ImageFolder folder;
  folder.put("1.jpg");
  folder.write("2.jpg", kLfsPointer);
  const auto error = error_of([&] { folder.open(true); });
  REQUIRE(error);
  CHECK(error->message() == (folder / "2.jpg").string() + " is a Git LFS pointer, not the file itself");
  CHECK(contains(error->hint(), "git lfs pull"));
}

/// The names of the files in a folder in the order in which they were opened.
class Opened {
 public:
  // The kernel makes one event of equal ones in a row. With the closing of the files they are not equal.
  explicit Opened(const fs::path& folder) : events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    REQUIRE(::inotify_add_watch(events_.get(), folder.c_str(), IN_OPEN | IN_CLOSE_NOWRITE) >= 0);
  }
  std::vector<std::string> take() const {
    std::vector<std::string> names;
    alignas(inotify_event) std::array<char, 4096> buffer{};
    const ssize_t bytes = ::read(events_.get(), buffer.data(), buffer.size());
    for (ssize_t at = 0; at < bytes;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      if ((event.mask & IN_OPEN) != 0 && (event.mask & IN_ISDIR) == 0)
        names.emplace_back(buffer.data() + at + sizeof event);
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
    return names;
  }

 private:
  UniqueFd events_;
};

TEST_CASE("each file is read once to find those that are broken") {
  const ImageFolder folder;
  folder.put("1.jpg");
  folder.write("2.jpg", "x");
  folder.write("3.jpg", kLfsPointer);
  const Opened opened(folder.path());
  CHECK(error_of([&] { folder.open(true, 1); }));
  CHECK(opened.take() == std::vector<std::string>{"1.jpg", "2.jpg", "3.jpg"});
}

TEST_CASE("broken images are left out and named if that is wanted") {
  const ImageFolder folder;
  folder.put("cat/1.jpg");
  folder.write("cat/2.png", "x");
  folder.put("dog/3.jpg");
  fs::resize_file(folder / "dog/3.jpg", 700);
  folder.put("dog/4.jpg", "grey.jpg");
  const auto source = folder.open(true);
  CHECK(names_of(*source) == std::vector<std::string>{"cat/1.jpg", "dog/4.jpg"});
  CHECK(read(*source, {0, 1}).labels == std::vector<std::int64_t>{0, 1});
  const auto skipped = source->skipped();
  REQUIRE(skipped.size() == 2);
  CHECK(skipped[0] == "cat/2.png: it is not a JPEG, PNG, WebP, TIFF or BMP");
  CHECK(skipped[1].starts_with("dog/3.jpg: "));
  CHECK(images::limited(folder.open(true), 1)->skipped().size() == 2);
}

TEST_CASE("files of every format and of every ending of JPEG are images") {
  const ImageFolder folder;
  folder.put("cat/1.jpe");
  folder.put("cat/2.JFIF");
  folder.put("dog/1.webp", "plain.webp");
  folder.put("emu/1.tif", "lzw.tif");
  folder.put("emu/2.TIFF", "grey.tif");
  folder.put("fox/1.bmp", "plain.bmp");
  folder.put("fox/2.dib", "grey.bmp");
  const auto source = folder.open();
  CHECK(names_of(*source) == std::vector<std::string>{"cat/1.jpe", "cat/2.JFIF", "dog/1.webp", "emu/1.tif",
                                                      "emu/2.TIFF", "fox/1.bmp", "fox/2.dib"});
  CHECK(source->classes() == 4);
  CHECK(source->remarks().empty());
}

TEST_CASE("files that are passed over are counted by their endings and classes without images are named") {
  const ImageFolder folder;
  folder.put("cat/1.jpg");
  folder.write("cat/2.heic", "");
  folder.write("dog/1.heic", "");
  folder.write("emu/deep/LICENSE", "");
  folder.write("readme.txt", "");
  folder.write(".hidden.txt", "");
  fs::create_directory_symlink(folder / "dog", folder / "cat/link");
  const auto remarks = images::limited(folder.open(), 1)->remarks();
  REQUIRE(remarks.size() == 2);
  CHECK(remarks[0] ==
        "left out 5 files not called like images (.jpg, .jpeg, .jpe, .jfif, .png, .webp, .tif, .tiff, .bmp and .dib): "
        "2 .heic, 1 .txt, 1 links to folders, 1 without an ending");
  CHECK(remarks[1] == "2 of 3 classes have no images: 'dog', 'emu'");
}

TEST_CASE("folders whose names differ in the composition of their letters only are rejected") {
  const ImageFolder folder;
  folder.put("cafe\xCC\x81/1.jpg");  // as a Mac writes it
  CHECK(folder.open()->class_name(0) == "caf\xC3\xA9");
  folder.put("caf\xC3\xA9/1.jpg");
  const auto error = error_of([&] { folder.open(); });
  REQUIRE(error);
  CHECK(error->detail() ==
        "two of its folders are called 'caf\xC3\xA9', written with different code points of Unicode (composed and "
        "decomposed); rename or merge them");
}

TEST_CASE("files that cannot be opened are broken too and left out if that is wanted") {
  const ImageFolder folder;
  folder.put("1.jpg");
  fs::create_symlink("nowhere.jpg", folder / "2.jpg");
  REQUIRE(::mkfifo((folder / "3.jpg").c_str(), 0600) == 0);
  folder.put("4.jpg");
  fs::resize_file(folder / "4.jpg", (std::uintmax_t{1} << 30) + 1);  // sparse: it takes no room
  folder.put("5.jpg");
  fs::permissions(folder / "5.jpg", fs::perms::none);  // root may read it
  CHECK(error_of([&] { bytes_of(*folder.open(), {1}); }));
  const auto source = folder.open(true);
  const auto skipped = source->skipped();
  const bool may_read = ::access((folder / "5.jpg").c_str(), R_OK) == 0;
  REQUIRE(skipped.size() == (may_read ? 3 : 4));
  CHECK(skipped[0] == "2.jpg: cannot read " + (folder / "2.jpg").string() + ": No such file or directory");
  CHECK(skipped[1] == "3.jpg: cannot read " + (folder / "3.jpg").string() + ": it is not a regular file");
  CHECK(contains(skipped[2], "4.jpg is too large for an image"));
  CHECK(names_of(*source).front() == "1.jpg");
}

TEST_CASE("a folder of only broken images is rejected") {
  const ImageFolder folder;
  folder.write("1.jpg", "");
  const auto error = error_of([&] { folder.open(true); });
  REQUIRE(error);
  CHECK(error->detail() == "none of its 1 image can be decoded; 1.jpg: it is empty");
}

TEST_CASE("a file that is gone by the time it is read is an error") {
  const ImageFolder folder;
  folder.put("1.jpg");
  const auto source = folder.open();
  fs::remove(folder / "1.jpg");
  const auto error = error_of([&] { bytes_of(*source, {0}); });
  REQUIRE(error);
  CHECK(contains(error->message(), (folder / "1.jpg").string()));
}

TEST_CASE("a file with the name of an image that is not one is rejected without being read") {
  const ImageFolder folder;
  folder.put("1.jpg");
  fs::resize_file(folder / "1.jpg", (std::uintmax_t{1} << 30) + 1);  // sparse: it takes no room
  auto error = error_of([&] { bytes_of(*folder.open(), {0}); });
  REQUIRE(error);
  CHECK(error->message() == (folder / "1.jpg").string() + " is too large for an image");
  fs::remove(folder / "1.jpg");
  REQUIRE(::mkfifo((folder / "1.jpg").c_str(), 0600) == 0);
  error = error_of([&] { bytes_of(*folder.open(), {0}); });
  REQUIRE(error);
  CHECK(error->detail() == "it is not a regular file");  // reading a pipe would wait for a writer
}

TEST_CASE("folders that are not a set of images are rejected") {
  const ImageFolder folder;
  const std::string message = folder.path().string() + " cannot be read as a folder of images";
  folder.write("notes.txt", "");
  auto error = error_of([&] { folder.open(); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == message);
  CHECK(error->detail() ==
        "it holds no images: files that end in .jpg, .jpeg, .jpe, .jfif, .png, .webp, .tif, .tiff, .bmp and .dib; left "
        "out 1 file not called like images: 1 .txt");
  CHECK(contains(error->hint(), "one folder of images for each class"));
  folder.put("cat/1.jpg");
  folder.put("2.jpg");
  error = error_of([&] { folder.open(); });
  REQUIRE(error);
  CHECK(error->detail() ==
        "it holds 1 image itself, such as 2.jpg, next to folders with images: their class is not clear");
  error = error_of([&] { make_folder(folder / "none", kResize, {{1}}); });
  REQUIRE(error);
  CHECK(error->detail() == "No such file or directory");
  error = error_of([&] { make_folder(folder / "2.jpg", kResize, {{1}}); });
  REQUIRE(error);
  CHECK(error->detail() == "Not a directory");
  error = error_of([&] { make_folder(folder / "cat", {}, {{1}}); });
  REQUIRE(error);
  CHECK(error->message() == "the images of a folder differ in size, and need a crop to get the same size");
}

TEST_CASE("a circle of links is walked once and links to images count") {
  const ImageFolder folder;
  folder.put("cat/1.jpg");
  fs::create_directory_symlink(folder.path(), folder / "cat/round");
  fs::create_symlink(folder / "cat/1.jpg", folder / "cat/2.jpg");
  CHECK(names_of(*folder.open()) == std::vector<std::string>{"cat/1.jpg", "cat/2.jpg"});
}

TEST_CASE("what a folder holds is told apart by names and sizes and times") {
  const ImageFolder folder;
  folder.put("a/1.jpg");
  const std::string before = images::folder_fingerprint(folder.path());
  CHECK(before.starts_with("1 image in 1 class, crc of names, sizes and times "));
  CHECK(images::folder_fingerprint(folder.path()) == before);
  fs::last_write_time(folder / "a/1.jpg", fs::last_write_time(folder / "a/1.jpg") + std::chrono::seconds(1));
  const std::string touched = images::folder_fingerprint(folder.path());
  CHECK(touched != before);
  fs::rename(folder / "a/1.jpg", folder / "a/2.jpg");
  CHECK(images::folder_fingerprint(folder.path()) != touched);
}

}  // namespace
}  // namespace tutti::test
