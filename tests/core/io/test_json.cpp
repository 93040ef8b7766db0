#include "vitrail/core/io/json.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using vitrail::IoError;
using vitrail::Json;
using vitrail::JsonError;

namespace {

/// The kind of error that parsing the text throws.
JsonError::Kind fault_of(const std::string& text, int deepest = 32) {
  try {
    Json::parse(text, deepest);
  } catch (const JsonError& e) {
    CHECK(std::string(e.what()) == "[json] " + e.reason());
    return e.kind();
  }
  FAIL("was parsed: ", text);
  return {};
}

}  // namespace

TEST_CASE("json: a text that is parsed and printed stays the same") {
  for (const std::string text : {"null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808",
                                 "18446744073709551615", "0.1", "1e-12", "1.0", "-0.0", "\"\"", "\"a\\\"b\\\\\\n\"",
                                 "[]", "{}", "[1,[2,{\"b\":3,\"a\":[]}]]", "{\"z\":1,\"a\":{\"y\":null}}"})
    CHECK(Json::parse(text).text() == text);
  CHECK(Json::parse("{\"b\": [1, 2], \"a\": {}}").text(2) == "{\n  \"b\": [\n    1,\n    2\n  ],\n  \"a\": {}\n}");
}

TEST_CASE("json: kinds of numbers") {
  struct Case {
    const char* text;
    bool integer, is_unsigned;
    double value;
  };
  for (const Case& c : {Case{"7", true, true, 7}, Case{"-7", true, false, -7}, Case{"7.0", false, false, 7},
                        Case{"9223372036854775808", false, true, 0x1p63}, Case{"1e3", false, false, 1000},
                        Case{"-0", false, false, 0}, Case{"100000000000000000000", false, false, 1e20}}) {
    const Json json = Json::parse(c.text);
    CAPTURE(c.text);
    CHECK(json.is_number());
    CHECK(json.is_integer() == c.integer);
    CHECK(json.is_unsigned() == c.is_unsigned);
    CHECK(json.as_double() == c.value);
  }
  CHECK(Json::parse("18446744073709551615").as_uint64() == std::numeric_limits<uint64_t>::max());
}

TEST_CASE("json: what is refused, and why") {
  using Kind = JsonError::Kind;
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "01", "nul", "1 2", "'a'", "{1:2}", "\"\xff\"", "1e999",
                           "[1] // comment", "\"\\ud800\""})
    CHECK(fault_of(text) == Kind::syntax);
  CHECK_THROWS_WITH_AS(Json::parse("{\"a\": "),
                       doctest::Contains("[json] is not JSON: parse error at line 1, column 7"), JsonError);
  CHECK_THROWS_WITH_AS(Json::parse("1e999"), doctest::Contains("[json] is not JSON: number overflow"), JsonError);
  CHECK(fault_of("{\"a\":1,\"b\":2,\"a\":3}") == Kind::repeated_name);
  CHECK(fault_of("[{\"a\":{\"b\":1,\"b\":1}}]") == Kind::repeated_name);
  CHECK(fault_of(std::string(100000, '[')) == Kind::too_deep);
  CHECK(fault_of("[[1]]", 1) == Kind::too_deep);
  CHECK(Json::parse("[[1]]", 2).text() == "[[1]]");
  CHECK(Json::parse("{\"a\":{\"a\":1},\"b\":{\"a\":1}}").is_object());
}

TEST_CASE("json: a value is built from C++ values and changed") {
  Json json = Json::object({{"epochs", 90}, {"lr", 1e-3}, {"name", "vit"}, {"flag", true}, {"none", nullptr}});
  json["sizes"] = std::vector<int64_t>{16, 32};
  json["lr"] = 0.5;
  json["log"].push_back("first");
  json["log"].push_back(size_t{2});
  json["at"]["step"] = -1;
  CHECK(json.text() == R"({"epochs":90,"lr":0.5,"name":"vit","flag":true,"none":null,"sizes":[16,32],)"
                       R"("log":["first",2],"at":{"step":-1}})");
  json.update(Json::object({{"name", "resnet"}, {"new", Json::array({1, "a"})}}));
  CHECK(json.find("name")->as_string() == "resnet");
  CHECK(json.find("new")->as_array()[1].as_string() == "a");
  CHECK(json.find("missing") == nullptr);
  CHECK(json.find("lr")->find("x") == nullptr);
  const Json copy = json;
  json["name"] = 1;
  CHECK(copy.find("name")->as_string() == "resnet");
}

TEST_CASE("json: a value of another type is an error that shows it") {
  const Json json = Json::parse(R"({"a": "text", "b": [1, 2.5]})");
  CHECK_THROWS_WITH_AS(json.find("a")->as_int64(), "[json] \"text\" is not a whole number of 64 bits", IoError);
  CHECK_THROWS_WITH_AS(json.find("b")->as_object(), "[json] [1,2.5] is not an object", IoError);
  CHECK_THROWS_WITH_AS(Json(-1).as_uint64(), "[json] -1 is not a whole number from 0", IoError);
  CHECK_THROWS_AS(Json("text")["a"], IoError);
  CHECK_THROWS_AS(Json(1).push_back(2), IoError);
}

TEST_CASE("json: text that JSON cannot hold") {
  CHECK(Json(std::numeric_limits<double>::quiet_NaN()).text() == "null");
  CHECK(Json(std::numeric_limits<double>::infinity()).text() == "null");
  CHECK(Json("a\xff").text() == "\"a\xef\xbf\xbd\"");
  CHECK(Json("\u00e9").text() == "\"\u00e9\"");
  CHECK(Json("\u00e9").excerpt() == "\"\\u00e9\"");
  CHECK(Json(std::string(100, 'x')).excerpt() == "\"" + std::string(59, 'x') + "...");
}
