#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"

#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>

using namespace vitrail;

namespace {

std::string with_length(uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + rest;
}

/// A file with this header and data.
std::string file_of(const std::string& header, const std::string& data = "") {
  return with_length(header.size(), header + data);
}

safetensors::Header parse(const std::string& file) {
  return safetensors::parse_header(std::as_bytes(std::span(file)), "w.safetensors");
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape, int64_t begin,
                   int64_t end) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[)" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::string bytes(size_t n) { return std::string(n, '\1'); }

}  // namespace

TEST_CASE("safetensors: each broken rule is named") {
  const std::string two = "{" + tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[4]", 4, 8) + "}";
  CHECK(parse(file_of(two, bytes(8))).tensors.size() == 2);
  struct Case {
    const char* rule;
    std::string file;
  };
  const Case cases[] = {
      {"HeaderTooSmall", ""},
      {"HeaderTooSmall", bytes(7)},
      {"HeaderTooLarge", with_length(100'000'001, "{}")},
      {"HeaderTooLarge", with_length(UINT64_MAX, "{}")},
      {"GitLfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"},
      {"InvalidHeaderLength", with_length(3, "{}")},
      {"InvalidHeader", file_of("{\"a\xff\":1}")},
      {"InvalidHeader", file_of("{\"\xc0\x80\":1}")},
      {"InvalidHeader", file_of("{\"\xed\xa0\x80\":1}")},
      {"InvalidHeader", file_of("")},
      {"InvalidHeader", file_of("\xef\xbb\xbf{}")},
      {"InvalidHeader", file_of("[]")},
      {"InvalidHeaderDeserialization", file_of("{\"a\":")},
      {"InvalidHeaderDeserialization", file_of("{} {}")},
      {"InvalidHeaderDeserialization", file_of("{\"a\":1}")},
      {"InvalidHeaderDeserialization", file_of("{\"a\":{}}")},
      {"InvalidHeaderDeserialization", file_of("{" + tensor("a", "F31", "[1]", 0, 4) + "}", bytes(4))},
      {"InvalidHeaderDeserialization", file_of("{" + tensor("a", "U8", "[-1]", 0, 4) + "}", bytes(4))},
      {"InvalidHeaderDeserialization", file_of("{" + tensor("a", "U8", "[4.0]", 0, 4) + "}", bytes(4))},
      {"InvalidHeaderDeserialization", file_of("{" + tensor("a", "U8", "[\"4\"]", 0, 4) + "}", bytes(4))},
      {"InvalidHeaderDeserialization", file_of("{" + tensor("a", "U8", "4", 0, 4) + "}", bytes(4))},
      {"InvalidHeaderDeserialization",
       file_of("{" + tensor("a", "U8", "[99999999999999999999]", 0, 4) + "}", bytes(4))},
      {"InvalidHeaderDeserialization", file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}})", bytes(4))},
      {"InvalidHeaderDeserialization", file_of(R"({"__metadata__":{"a":1}})")},
      {"InvalidHeaderDeserialization", file_of(R"({"__metadata__":[]})")},
      {"InvalidHeaderDeserialization", file_of("{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}")},
      {"DuplicateName", file_of("{" + tensor("a", "U8", "[0]", 0, 0) + "," + tensor("a", "U8", "[0]", 0, 0) + "}")},
      {"DuplicateName", file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})")},
      {"NameTooLong", file_of("{" + tensor(std::string(513, 'n'), "U8", "[0]", 0, 0) + "}")},
      {"RankTooLarge", file_of("{" + tensor("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) + "}", bytes(1))},
      {"InvalidOffset", file_of("{" + tensor("a", "U8", "[4]", 1, 5) + "}", bytes(5))},
      {"InvalidOffset",
       file_of("{" + tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[4]", 5, 9) + "}", bytes(9))},
      {"InvalidOffset",
       file_of("{" + tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[4]", 3, 7) + "}", bytes(7))},
      {"InvalidHeaderDeserialization", file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,-4]}})", bytes(4))},
      {"InvalidOffset", file_of("{" + tensor("a", "U8", "[0]", 0, 0) + "," + tensor("b", "U8", "[0]", 1, 0) + "}")},
      {"ValidationOverflow", file_of("{" + tensor("a", "U8", "[4294967296,4294967296]", 0, 4) + "}", bytes(4))},
      {"ValidationOverflow", file_of("{" + tensor("a", "F64", "[2305843009213693952]", 0, 4) + "}", bytes(4))},
      {"ValidationOverflow", file_of("{" + tensor("a", "U8", "[0,18446744073709551615]", 0, 0) + "}")},
      {"MisalignedSlice", file_of("{" + tensor("a", "F4", "[3]", 0, 2) + "}", bytes(2))},
      {"TensorInvalidInfo", file_of("{" + tensor("a", "F32", "[2]", 0, 4) + "}", bytes(4))},
      {"TensorInvalidInfo", file_of("{" + tensor("a", "U8", "[]", 0, 0) + "}")},
      {"MetadataIncompleteBuffer", file_of(two, bytes(7))},
      {"MetadataIncompleteBuffer", file_of(two, bytes(9))},
      {"MetadataIncompleteBuffer", file_of("{}", bytes(1))},
  };
  for (const Case& c : cases) {
    const std::string start = c.file.substr(0, 100);
    CAPTURE(start);
    const std::string expected = "w.safetensors: " + std::string(c.rule) + ": ";
    CHECK_THROWS_WITH_AS(parse(c.file), doctest::Contains(expected.c_str()), IoError);
  }
}

TEST_CASE("safetensors: legal headers that look odd") {
  CHECK(parse(with_length(8, "{}      ")).tensors.empty());
  CHECK(parse(file_of("{}")).tensors.empty());
  CHECK(parse(file_of("\n {}")).tensors.empty());
  CHECK(parse(file_of(R"({"__metadata__":null})")).metadata.empty());
  CHECK(parse(file_of(R"({"__metadata__":{"format":"pt"}})")).metadata.at("format") == "pt");
  const auto scalar_and_empty =
      parse(file_of("{" + tensor("é", "U8", "[]", 0, 1) + "," + tensor("z", "F32", "[3,0]", 1, 1) + "}", bytes(1)));
  CHECK(scalar_and_empty.tensors.at("é").shape == Shape{});
  CHECK(scalar_and_empty.tensors.at("z").shape == Shape{3, 0});
  CHECK(parse(file_of("{" + tensor("a", "F4", "[4]", 0, 2) + "}", bytes(2))).tensors.at("a").dtype == "F4");
}

TEST_CASE("safetensors: the fuzzer's inputs are accepted or refused") {
  int accepted = 0, refused = 0;
  for (const auto& input : std::filesystem::directory_iterator(VITRAIL_SOURCE_DIR "/tests/fuzz/corpus/safetensors")) {
    try {
      parse(read_file(input.path(), 1 << 20));
      ++accepted;
    } catch (const IoError&) {
      ++refused;
    }
  }
  CHECK(accepted == 4);
  CHECK(refused == 6);
}

TEST_CASE("safetensors: what is saved is read back, byte for byte as the reference writer puts it") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  const TensorMap tensors = {{"bytes", arange(3, DType::u8)},
                             {"f64", scalar(0.1, DType::f64)},
                             {"w.b", arange(6, DType::f32).reshape({2, 3}).transpose(0, 1)},
                             {"w.a", arange(2, DType::f32)},
                             {"half", arange(4, DType::f32).to(DType::bf16)},
                             {"empty", Tensor::empty({0, 5})},
                             {"ids", arange(2)}};
  safetensors::save(path, tensors);
  const safetensors::Reader file(path);
  CHECK(file.names() == std::vector<std::string>{"bytes", "empty", "f64", "half", "ids", "w.a", "w.b"});
  CHECK(file.metadata() == safetensors::Metadata{{"format", "pt"}});
  CHECK(file.shape("w.b") == Shape{3, 2});
  for (const auto& item : file.read_all()) {
    const auto& name = item.first;
    const Tensor& back = item.second;
    CAPTURE(name);
    CHECK(back.dtype() == tensors.at(name).dtype());
    CHECK(test::max_difference(back, tensors.at(name)) == 0);
  }
  const std::string content = read_file(path, 1 << 20);
  const auto header = parse(content);
  CHECK(header.tensors.at("ids").begin % 8 == 0);
  CHECK(header.tensors.at("ids").end == header.tensors.at("f64").begin);
  CHECK(header.tensors.at("f64").end == header.tensors.at("empty").begin);
  CHECK(header.tensors.at("empty").end == header.tensors.at("w.a").begin);
  CHECK(header.tensors.at("w.b").end == header.tensors.at("half").begin);
  CHECK(header.tensors.at("bytes").end == int64_t(content.size()));
  CHECK(content[8] == '{');
  CHECK_THROWS_WITH_AS(file.read("w.c"), doctest::Contains("there is no \"w.c\" among its 7 tensors"), IoError);

  safetensors::save(path, {}, {});
  CHECK(read_file(path, 100) == with_length(8, "{}      "));
}

TEST_CASE("safetensors: tensors lie in the mapped file, which nobody writes to, for as long as they live") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  safetensors::save(path, {{"a", arange(4, DType::f32)}});
  const std::string content = read_file(path, 1 << 20);
  const int64_t live = memory::live_bytes();
  Tensor a = safetensors::Reader(path).read("a");
  CHECK(memory::live_bytes() == live);
  Tensor view = a.slice(0, 1, 3);
  a = Tensor();
  view.fill_(7);
  CHECK(view.to_vector() == std::vector<double>{7, 7});
  CHECK(read_file(path, 1 << 20) == content);
  CHECK(safetensors::Reader(path).read("a").to_vector() == std::vector<double>{0, 1, 2, 3});

  // On processors that cannot read misaligned numbers, they are copied.
  std::string header = "{" + tensor("w", "F32", "[1]", 0, 4) + "}";
  while (header.size() % 4 != 1) header += ' ';
  const float value = 2.5;
  durable_write(path, file_of(header, std::string(reinterpret_cast<const char*>(&value), sizeof(value))));
  const Tensor w = safetensors::Reader(path).read("w");
  CHECK(w.item() == 2.5);
  CHECK(memory::live_bytes() > live);
  CHECK_THROWS_AS(Tensor::in(Storage(8), {3}, DType::f32), ShapeError);
}

TEST_CASE("safetensors: other types become ours") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.safetensors";
  const auto read = [&](const std::string& dtype, int64_t count, const std::string& data) {
    const std::string shape = "[" + std::to_string(count) + "]";
    durable_write(path, file_of("{ " + tensor("x", dtype, shape, 0, int64_t(data.size())) + "}", data));
    return safetensors::Reader(path).read("x");
  };
  const auto raw = [](auto value) { return std::string(reinterpret_cast<const char*>(&value), sizeof(value)); };
  const auto half = [&](uint16_t bits) { return read("F16", 1, raw(bits)).item(); };
  CHECK(half(0x3c00) == 1);
  CHECK(half(0xc000) == -2);
  CHECK(half(0x7bff) == 65504);
  CHECK(half(0x0001) == 0x1p-24);
  CHECK(half(0x83ff) == -1023 * 0x1p-24);
  CHECK(half(0x0400) == 0x1p-14);
  CHECK(half(0x7c00) == std::numeric_limits<double>::infinity());
  CHECK(std::isnan(half(0x7e00)));
  CHECK(std::signbit(half(0x8000)));
  CHECK(read("BOOL", 2, std::string("\1\0", 2)).to_vector() == std::vector<double>{1, 0});
  CHECK(read("I8", 1, raw(int8_t(-3))).item() == -3);
  CHECK(read("I16", 1, raw(int16_t(-300))).item() == -300);
  CHECK(read("U16", 1, raw(uint16_t(65535))).item() == 65535);
  CHECK(read("I32", 2, raw(int32_t(-70000)) + raw(int32_t(5))).to_vector() == std::vector<double>{-70000, 5});
  CHECK(read("U32", 1, raw(uint32_t(4294967295))).item() == 4294967295.0);
  CHECK(read("U64", 1, raw(uint64_t(7))).dtype() == DType::i64);
  CHECK_THROWS_WITH_AS(read("U64", 1, raw(UINT64_MAX)), doctest::Contains("does not fit i64"), IoError);
  CHECK_THROWS_WITH_AS(read("F8_E4M3", 1, "a"), doctest::Contains("has type F8_E4M3"), IoError);
}

TEST_CASE("safetensors: f32 is written as F16 on demand, rounded to the nearest") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.safetensors";
  const std::vector<std::pair<float, double>> cases = {{0.0F, 0},
                                                       {-2.0F, -2},
                                                       {65504.0F, 65504},
                                                       {65519.0F, 65504},
                                                       {0x1p-24f, 0x1p-24},
                                                       {0x1.8p-25f, 0x1p-24},
                                                       {0x1p-25f, 0},  // a tie goes to the even neighbour
                                                       {0x1.ff8p-15f, 0x1.ff8p-15},
                                                       {0x1.ffffp-15f, 0x1p-14},
                                                       {1 + 0x1p-11f, 1},
                                                       {1 + 0x1.8p-10f, 1 + 0x1p-9},
                                                       {0x1.ffep0f, 2}};
  std::vector<float> values;
  std::vector<double> expected;
  for (const auto& [value, half] : cases) {
    values.push_back(value);
    expected.push_back(half);
  }
  const auto count = int64_t(values.size());
  safetensors::save(path, {{"x", tensor(values, {count})}, {"bytes", arange(2, DType::u8)}}, {},
                    safetensors::Floats::f16);
  const safetensors::Reader file(path);
  CHECK(file.dtype("x") == "F16");
  CHECK(file.dtype("bytes") == "U8");
  CHECK(file.read("x").to_vector() == expected);
  // Every finite half comes back as it was.
  Tensor all = Tensor::empty({0x7c00}, DType::f32);
  for (int i = 0; i < 0x7c00; ++i)
    all.data<float>()[i] = i < 0x400 ? float(std::ldexp(i, -24)) : float(std::ldexp(1024 + i % 1024, i / 1024 - 25));
  safetensors::save(path, {{"x", all}}, {}, safetensors::Floats::f16);
  CHECK(test::max_difference(safetensors::Reader(path).read("x"), all) == 0);
  CHECK_THROWS_WITH_AS(safetensors::save(path, {{"x", tensor<float>({1, 65520}, {2})}}, {}, safetensors::Floats::f16),
                       doctest::Contains("\"x\" has 65520, which does not fit F16"), IoError);
}

TEST_CASE("safetensors: shards of an index") {
  const test::TemporaryFolder folder;
  const auto index = folder.path() / "model.safetensors.index.json";
  safetensors::save(folder.path() / "model-1.safetensors", {{"a", arange(2)}});
  safetensors::save(folder.path() / "model-2.safetensors", {{"b", arange(3)}, {"c", arange(4)}});
  const auto write = [&](const std::string& map) { durable_write(index, R"({"weight_map":{)" + map + "}}"); };
  const std::string a = R"("a":"model-1.safetensors")", b = R"("b":"model-2.safetensors")";
  const std::string c = R"("c":"model-2.safetensors")";
  write(a + "," + b + "," + c);
  const safetensors::Reader file(index);
  CHECK(file.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(file.read("c").numel() == 4);
  CHECK(file.dtype("c") == "I64");
  write(a + "," + b + R"(,"c":"model-1.safetensors")");
  CHECK_THROWS_WITH_AS(safetensors::Reader{index},
                       doctest::Contains("\"c\" is in model-2.safetensors, the index says model-1.safetensors"),
                       IoError);
  write(a + "," + b + "," + c + R"(,"a":"model-2.safetensors")");
  CHECK_THROWS_WITH_AS(safetensors::Reader{index}, doctest::Contains("\"a\" comes twice"), IoError);
  write(a + "," + b);
  CHECK_THROWS_WITH_AS(safetensors::Reader{index}, doctest::Contains("\"c\" is in a shard but not in the index"),
                       IoError);
  write(a + "," + b + "," + c + R"(,"d":"model-1.safetensors")");
  CHECK_THROWS_WITH_AS(safetensors::Reader{index}, doctest::Contains("\"d\" is not in model-1.safetensors"), IoError);
  write(R"("a":"../model-1.safetensors")");
  CHECK_THROWS_WITH_AS(safetensors::Reader{index}, doctest::Contains("is not beside the index"), IoError);
  write(R"("a":"model-3.safetensors")");
  CHECK_THROWS_WITH_AS(safetensors::Reader{index}, doctest::Contains("No such file"), IoError);
  safetensors::save(folder.path() / "model-2.safetensors", {{"a", arange(3)}});
  write(a + "," + b);
  CHECK_THROWS_WITH_AS(safetensors::Reader{index}, doctest::Contains("\"a\" is in another file too"), IoError);
  durable_write(index, "{}");
  CHECK_THROWS_AS(safetensors::Reader{index}, IoError);
}

TEST_CASE("safetensors: offsets beyond 4 GiB") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "large.safetensors";
  constexpr int64_t kLarge = (int64_t{1} << 32) + 16;
  const std::string header = "{" + tensor("a", "U8", "[" + std::to_string(kLarge) + "]", 0, kLarge) + "," +
                             tensor("b", "U8", "[2]", kLarge, kLarge + 2) + "}";
  {
    std::ofstream file(path, std::ios::binary);  // sparse: the hole takes no disk
    file << file_of(header);
    file.seekp(kLarge, std::ios::cur);
    file << "\5\6";
  }
  const safetensors::Reader file(path);
  CHECK(file.shape("a").numel() == kLarge);
  CHECK(file.read("b").to_vector() == std::vector<double>{5, 6});
}
