// How two sets overlap, with a sketch that frees itself and errors that are exceptions.
//
//   c++ -std=c++17 overlap.cpp $(pkg-config --cflags --libs hll) -o overlap
#include <hll.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace {

void check(hll_status status)
{
    if (status != HLL_OK) {
        throw std::runtime_error(hll_message(status));
    }
}

class Sketch {
public:
    explicit Sketch(std::uint8_t precision) : handle_(make(precision), hll_free) {}

    void add(std::string_view value) { check(hll_add(handle_.get(), value.data(), value.size())); }
    void add(const std::vector<std::uint64_t> &values)
    {
        check(hll_add_u64s(handle_.get(), values.data(), values.size()));
    }

    double estimate() const
    {
        double estimate = 0;
        check(hll_estimate(handle_.get(), &estimate));
        return estimate;
    }

    hll_overlap overlap(const Sketch &other) const
    {
        hll_overlap overlap = {};
        check(hll_overlap_of(handle_.get(), other.handle_.get(), &overlap));
        return overlap;
    }

private:
    static hll_sketch *make(std::uint8_t precision)
    {
        hll_sketch *sketch = nullptr;
        check(hll_new(precision, &sketch));
        return sketch;
    }

    std::unique_ptr<hll_sketch, decltype(&hll_free)> handle_;
};

void print(const char *name, hll_part part)
{
    std::printf("%s: %.0f, give or take %.0f\n", name, part.value, part.standard_error);
}

} // namespace

int main()
{
    std::vector<std::uint64_t> monday, tuesday;
    for (std::uint64_t user = 0; user < 30000; user++) {
        monday.push_back(user);
        tuesday.push_back(user + 20000);
    }
    Sketch first(12), second(12);
    first.add(monday);
    second.add(tuesday);
    second.add("a visitor without a number");

    const hll_overlap overlap = first.overlap(second);
    print("on Monday only (20000)", overlap.only_first);
    print("on Tuesday only (20001)", overlap.only_second);
    print("on both days (10000)", overlap.both);
    print("on either day (50001)", overlap.either);

    try {
        Sketch impossible(40);
    } catch (const std::runtime_error &error) {
        std::printf("precision 40: %s\n", error.what());
    }
    return first.estimate() > 28000 && first.estimate() < 32000 ? 0 : 1;
}
