#include "tests/data/image_files.h"
#include "tests/data/jpeg_decoders.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/jpeg_check.h"
#include "vitrail/data/image/jpeg_segments.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace vitrail::data {
namespace {

using namespace std::string_literals;
using test::bytes_of;
using test::image_file;
using test::with_each_decoder;

Image decode(const std::string& file) { return decode_image(bytes_of(file)); }

std::string segment(int marker, const std::string& payload) {
  const size_t length = payload.size() + 2;
  return "\xff"s + char(marker) + char(length >> 8) + char(length & 0xff) + payload;
}

/// A grey JPEG, one row of blocks. A block that continues the grey of the one before it is two zero bits: the DC code 0
/// for no difference, then the AC code 0 for the end of the block.
struct Jpeg {
  int blocks = 4, restart = 0, frame = 0xc0;
  bool quantization = true, huffman = true;
  std::string scans = scan("\0"s);

  static std::string scan(const std::string& data, const std::string& header = "\x01\x01\0\0\x3f\0"s) {
    return segment(0xda, header) + data;
  }
  std::string start() const {
    std::string text = "\xff\xd8";
    if (quantization) text += segment(0xdb, "\0"s + std::string(64, '\x10'));
    text += segment(frame, "\x08\0\x08\0"s + char(8 * blocks) + "\x01\x01\x11\0"s);
    const std::string one_code = "\x01"s + std::string(15, '\0') + "\0"s;
    if (huffman) text += segment(0xc4, "\0"s + one_code + "\x10"s + one_code);
    if (restart > 0) text += segment(0xdd, "\0"s + char(restart));
    return text;
  }
  std::string file() const { return start() + scans + "\xff\xd9"; }
};

void refused(const std::string& file, const std::string& reason) {
  CAPTURE(reason);
  CHECK_THROWS_WITH_AS(decode(file), doctest::Contains(reason.c_str()), IoError);
}

/// The file without its segments of a marker.
std::string without(const std::string& file, int marker) {
  std::string result = file.substr(0, 2);
  size_t at = 2;
  while (const auto segment = next_segment(bytes_of(file), at)) {
    if (segment->marker != marker) result += file.substr(at, segment->end - at);
    at = segment->end;
    if (segment->marker == jpeg_marker::kEnd) break;
  }
  return result;
}

/// The offsets of the segments of a marker.
std::vector<size_t> places(const std::string& file, int marker) {
  std::vector<size_t> result;
  for (size_t at = 2;;) {
    const auto segment = next_segment(bytes_of(file), at);
    if (!segment || segment->marker == jpeg_marker::kEnd) return result;
    if (segment->marker == marker) result.push_back(segment->end - segment->payload.size() - 4);
    at = segment->end;
  }
}

}  // namespace

TEST_CASE("a JPEG's segments are found behind thumbnails, and its EXIF before the first scan") {
  const auto exif = [](const std::string& file) { return jpeg_exif(bytes_of(file)).size(); };
  const std::string with_thumbnail =
      "\xff\xd8\xff\xe1\x00\x0a"
      "Exif\0\0\xff\xd9"s;
  CHECK(exif(with_thumbnail) == 2);
  CHECK(exif("\xff\xd8\xff\xd9" + with_thumbnail.substr(2)) == 0);
  CHECK(exif("\x89PNG") == 0);
  CHECK_FALSE(next_segment(bytes_of("\xff\xd8\xff\xe1\xff\xff\xff\xd9"s), 2));             // longer than the file
  const auto end = next_segment(bytes_of("scan \xff\x00 \xff\xd0 scan\xff\xff\xd9"s), 0);  // escapes, restarts, filling
  REQUIRE(end);
  CHECK(end->marker == jpeg_marker::kEnd);
}

TEST_CASE("a JPEG whose tables are missing is refused by their names") {
  with_each_decoder([] {
    const Image grey = decode(Jpeg().file());
    CHECK(grey.size() == ImageSize{8, 32});
    CHECK(int(grey.at(7, 31)[1]) == 128);
    refused(Jpeg{.quantization = false}.file(), "component 1 needs the quantisation table 0, which is not defined");
    refused(Jpeg{.huffman = false}.file(), "component 1 needs the DC Huffman table 0, which is not defined");
    for (const char* name : {"baseline.jpg", "progressive.jpg", "cmyk.jpg"}) {
      CAPTURE(name);
      refused(without(image_file(name), jpeg_marker::kQuantization), "needs the quantisation table");
      refused(without(image_file(name), jpeg_marker::kHuffman), "Huffman table");
    }
    refused(Jpeg{.scans = ""}.file(), "no scan has data of component 1");
    refused("\xff\xd8\xff\xd9", "no frame header");
  });
}

TEST_CASE("a JPEG's scan must hold the codes of all its blocks") {
  with_each_decoder([] {
    refused(Jpeg{.scans = Jpeg::scan("")}.file(), "the data of scan 1 ends after 0 of its 4 blocks");
    refused(Jpeg{.blocks = 5}.file(), "the data of scan 1 ends after 4 of its 5 blocks");
    refused(Jpeg{.scans = Jpeg::scan("\x40"s)}.file(), "the data of scan 1 is invalid after 0 of its 4 blocks");
    CHECK(decode(Jpeg{.scans = Jpeg::scan("\0\0\0\0"s)}.file()) == decode(Jpeg().file()));  // zeros behind the data
    {                                                                                       // with restart markers
      const auto file = [](const std::string& data) {
        return Jpeg{.blocks = 12, .restart = 4, .scans = Jpeg::scan(data)}.file();
      };
      CHECK(decode(file("\0\xff\xd0\0\xff\xd1\0"s)).width() == 96);
      CHECK(decode(file("\0\xff\xd0\0\xff\xd1\0\xff\xd2"s)).width() == 96);
      refused(file("\0\xff\xd0\0"s), "ends after 8 of its 12 blocks");
      refused(file("\0\xff\xd0\xff\xd1\0"s), "ends after 4 of its 12 blocks");
      refused(file("\0\xff\xd1\0\xff\xd2\0"s), "ends after 4 of its 12 blocks");
      refused(file("\0\0\0"s), "ends after 4 of its 12 blocks");
    }
    {  // data cut out of real files, the end mark behind it
      for (const std::string name : {"baseline.jpg", "progressive.jpg", "cmyk.jpg", "orientation6.jpg"}) {
        CAPTURE(name);
        const std::string file = image_file(name);
        const size_t scan = places(file, jpeg_marker::kScan).back();
        const size_t data = scan + 2 + size_t(uint8_t(file[scan + 3]));
        refused(file.substr(0, data) + "\xff\xd9", "the data of scan");
      }
    }
  });
}

TEST_CASE("a progressive JPEG must reach full precision") {
  with_each_decoder([] {
    const std::string dc = Jpeg::scan("\0"s, "\x01\x01\0\0\0\0"s), ac = Jpeg::scan("\0"s, "\x01\x01\0\x01\x3f\0"s);
    const std::string rough = Jpeg::scan("\0"s, "\x01\x01\0\x01\x3f\x01"s),
                      fine = Jpeg::scan("\0"s, "\x01\x01\0\x01\x3f\x10"s);
    const auto file = [](const std::string& scans) { return Jpeg{.frame = 0xc2, .scans = scans}.file(); };
    CHECK(decode(file(dc + ac)) == decode(Jpeg().file()));
    CHECK(decode(file(dc + rough + fine)) == decode(Jpeg().file()));
    refused(file(dc), "its scans end before the full precision of component 1");
    refused(file(ac), "no scan has data of component 1");
    refused(file(dc + rough), "its scans end before the full precision of component 1");
    refused(file(dc + fine), "scan 2 does not go on from the ones before it");
    refused(file(dc + dc), "scan 2 does not go on from the ones before it");
    const std::string photo = image_file("progressive.jpg");
    for (const size_t scan : places(photo, jpeg_marker::kScan))
      CHECK_THROWS_AS(decode(photo.substr(0, scan) + "\xff\xd9"), IoError);
  });
}

TEST_CASE("a JPEG that is complete needs no end mark, and what follows the mark does not count") {
  with_each_decoder([] {
    for (const std::string name : {"baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "orientation3.jpg"}) {
      CAPTURE(name);
      const std::string file = image_file(name);
      const Image image = decode(file);
      CHECK(decode(file.substr(0, file.size() - 2)) == image);
      CHECK(decode(file.substr(0, file.size() - 1)) == image);
      CHECK(decode(file + std::string(5000, '\0')) == image);
      CHECK(decode(file + image_file("grey.jpg")) == image);  // as in an MPO
      // A segment that is cut short is not looked at either: here a Huffman table with 16 x 255 codes.
      CHECK(decode(file.substr(0, file.size() - 2) + "\xff\xc4\xff\xff" + std::string(200, '\xff')) == image);
    }
  });
}

TEST_CASE("what libjpeg-turbo alone refuses is told in its words") {
  if (!test::has_turbo()) return;
  const std::string dc = "\0\x01\x01"s + std::string(14, '\0') + "\0\x20"s;  // an unused code for a number of 32 bits
  const std::string ac = "\x10\x01"s + std::string(15, '\0') + "\0"s;
  refused(Jpeg{.huffman = false}.start() + segment(0xc4, dc + ac) + Jpeg().scans + "\xff\xd9",
          "the file is damaged: libjpeg-turbo");
}

TEST_CASE("kinds of JPEG that are not read are named") {
  with_each_decoder([] {
    refused(Jpeg{.frame = 0xc9}.file(), "a JPEG with arithmetic coding");
    refused(Jpeg{.frame = 0xc3}.file(), "a JPEG with lossless coding");
    refused(Jpeg{.frame = 0xc5}.file(), "a JPEG with a hierarchy of frames");
    std::string file = Jpeg().file();
    const size_t frame = places(file, 0xc0)[0];
    file[frame + 4] = 12;
    refused(file, "a JPEG with 12 bits a sample");
    file[frame + 4] = 8;
    file[frame + 6] = 0;
    refused(file, "without a height in its header");
    refused(Jpeg{.frame = 0xc0}.start(), "truncated");
  });
}

TEST_CASE("four channels: CMYK, and YCCK by Adobe's mark") {
  with_each_decoder([] {
    std::string file = image_file("cmyk.jpg");
    const size_t adobe = places(file, 0xee).at(0);
    REQUIRE(file.substr(adobe + 4, 5) == "Adobe");
    const size_t transform = adobe + 4 + 11;
    REQUIRE(file[transform] == 0);
    const auto close = [](const Image& image, int x, std::vector<int> rgb) {
      for (size_t c = 0; c < 3; ++c) CHECK(std::abs(int(image.at(3, x)[c]) - rgb[c]) <= 2);
    };
    const Image cmyk = decode(file);
    close(cmyk, 3, {235, 51, 97});
    file[transform] = 2;
    const Image ycck = decode(file);
    close(ycck, 3, {29, 0, 119});  // Pillow's values
    close(ycck, 12, {195, 126, 0});
    // Without the mark Pillow sees CMYK, stb_image 255, 55 and 105 as YCbCr.
    const Image plain = decode(without(image_file("cmyk.jpg"), 0xee));
    const bool turbo = testing::jpeg_decoder == JpegDecoder::turbo;
    close(plain, 3, turbo ? std::vector<int>{235, 51, 97} : std::vector<int>{223, 255, 126});
  });
}

}  // namespace vitrail::data
