// Checks every kernel at odd sizes against simple loops, without Rust and CUDA. The sanitizers run this program
// (tools/sanitize.sh). Buffers come from malloc with their exact size, so that the address sanitizer notices an access
// one element too far. The thorough comparison with the CPU's operations is tests/cuda/kernels.
//
//     selftest [0 forward | 1 reverse | 2 shuffled]
#include "kernels_all.cpp"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

bool cuda_cpu::is_live(const char*, unsigned, const void*) { return true; }

namespace {

cuda_cpu::Schedule schedule;
int failures;
std::mt19937 generator(7);
const unsigned running = 0; // the flag `diverged`, not set

float number() { return std::uniform_real_distribution<float>(-1, 1)(generator); }

template <class T> struct Buffer {
    T* data;
    size_t size;
    explicit Buffer(size_t size) : data(static_cast<T*>(malloc(size * sizeof(T)))), size(size) { memset(static_cast<void*>(data), 0xff, size * sizeof(T)); }
    Buffer(const Buffer&) = delete;
    ~Buffer() { free(data); }
    T& operator[](size_t i) { return data[i]; }
    Buffer& random(float scale = 1) {
        for (size_t i = 0; i < size; ++i) data[i] = T(scale * number());
        return *this;
    }
    Buffer& fill(T value) {
        for (size_t i = 0; i < size; ++i) data[i] = value;
        return *this;
    }
};

template <class... Arguments> void launch(const std::string& name, dim3 grid, dim3 block, Arguments... arguments) {
    void* pointers[] = {static_cast<void*>(&arguments)...};
    if (const char* fault = cuda_cpu::launch(*cuda_cpu::find_kernel(name.c_str()), grid, block, pointers, schedule)) {
        printf("FAULT %s\n", fault);
        ++failures;
    }
}

void check(const std::string& what, bool right) {
    if (right) return;
    printf("WRONG %s\n", what.c_str());
    ++failures;
}

// A NaN is never near.
bool near(double found, double expected, double tolerance) { return std::fabs(found - expected) <= tolerance * std::fmax(1.0, std::fabs(expected)); }

struct Shape {
    unsigned m, n, k;
};
struct TileShape {
    const char* name;
    unsigned rows, columns, threads;
};
constexpr TileShape TILES[] = {{"large", 128, 128, 256}, {"medium", 64, 64, 128}, {"small", 32, 32, 128}};
constexpr Shape SHAPES[] = {{1, 1, 1}, {65, 63, 17}, {7, 130, 33}, {64, 10, 100}, {100, 52, 32}};

// A product in one of the layouts: element (i, p) of op(A) and (p, j) of op(B).
struct Product {
    Shape shape;
    bool a_along_k, b_along_k;
    Buffer<float> a, b, bias;
    Product(Shape s, bool a_along_k, bool b_along_k)
        : shape(s), a_along_k(a_along_k), b_along_k(b_along_k), a(size_t(s.m) * s.k), b(size_t(s.n) * s.k), bias(s.n) {
        a.random();
        b.random();
        bias.random();
    }
    float left(unsigned i, unsigned p) { return a[a_along_k ? size_t(i) * shape.k + p : size_t(p) * shape.m + i]; }
    float right(unsigned p, unsigned j) { return b[b_along_k ? size_t(j) * shape.k + p : size_t(p) * shape.n + j]; }
    // One chain of fmaf in ascending k, as in every kernel and on the CPU.
    float chain(unsigned i, unsigned j) {
        float sum = 0;
        for (unsigned p = 0; p < shape.k; ++p) sum = fmaf(left(i, p), right(p, j), sum);
        return sum;
    }
    bool equals(Buffer<float>& c, bool with_bias) {
        bool same = true;
        for (unsigned i = 0; i < shape.m; ++i)
            for (unsigned j = 0; j < shape.n; ++j) same &= c[size_t(i) * shape.n + j] == chain(i, j) + (with_bias ? bias[j] : 0.0f);
        return same;
    }
};

void products(const TileShape& tile, Shape s) {
    const dim3 grid{ceil_div(s.n, tile.columns), ceil_div(s.m, tile.rows), 1}, block{tile.threads, 1, 1};
    const std::string name = tile.name, what = name + " " + std::to_string(s.m) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k);
    Buffer<float> c(size_t(s.m) * s.n), pre(size_t(s.m) * s.n);
    Product nt(s, true, true), nn(s, true, false), tn(s, false, false);
    launch("sgemm_nt_bias_" + name, grid, block, c.data, nt.a.data, nt.b.data, nt.bias.data, s.m, s.n, s.k);
    check("nt bias " + what, nt.equals(c, true));
    launch("sgemm_nn_" + name, grid, block, c.data, nn.a.data, nn.b.data, s.m, s.n, s.k);
    check("nn " + what, nn.equals(c, false));
    Buffer<float> sums(s.m);
    launch("sgemm_tn_" + name, grid, block, c.data, sums.data, tn.a.data, tn.b.data, s.m, s.n, s.k);
    check("tn " + what, tn.equals(c, false));
    for (unsigned i = 0; i < s.m; ++i) {
        float sum = 0;
        for (unsigned p = 0; p < s.k; ++p) sum += tn.left(i, p);
        check("tn sums " + what, sums[i] == sum);
    }

    const Mask mask{0x40000000u, 4.0f / 3.0f, 1, 2, 0, 3, 4};
    launch("sgemm_nt_block_" + name, grid, block, c.data, pre.data, nt.a.data, nt.b.data, nt.bias.data, s.m, s.n, s.k, unsigned(RELU), unsigned(ACTIVATION_DROPOUT), mask);
    check("nt block, input of the activation " + what, nt.equals(pre, true));
    for (size_t e = 0; e < c.size; ++e) {
        const Words words = philox4x32(unsigned(e / 4), 1, 2, 0, 3, 4);
        const float factor = words.word[e % 4] >= 0x40000000u ? 4.0f / 3.0f : 0.0f;
        check("nt block " + what, c[e] == (pre[e] > 0 ? pre[e] : 0.0f) * factor);
    }

    const unsigned tiles = ceil_div(s.m, tile.rows);
    Buffer<float> means(size_t(tiles) * s.n), m2s(size_t(tiles) * s.n);
    launch("sgemm_nt_statistics_" + name, grid, block, c.data, means.data, m2s.data, nt.a.data, nt.b.data, nt.bias.data, s.m, s.n, s.k);
    check("nt statistics " + what, nt.equals(c, true));
    for (unsigned t = 0; t < tiles; ++t)
        for (unsigned j = 0; j < s.n; ++j) {
            const unsigned first = t * tile.rows, rows = min(tile.rows, s.m - first);
            double mean = 0, m2 = 0;
            for (unsigned i = first; i < first + rows; ++i) mean += double(c[size_t(i) * s.n + j]) / rows;
            for (unsigned i = first; i < first + rows; ++i) m2 += pow(c[size_t(i) * s.n + j] - mean, 2);
            check("means " + what, near(means[size_t(t) * s.n + j], mean, 1e-5));
            check("M2 " + what, near(m2s[size_t(t) * s.n + j], m2, 1e-5));
        }
}

void ladder(Shape s) {
    Buffer<float> c(size_t(s.m) * s.n);
    Product nn(s, true, false);
    auto step = [&](const char* name, unsigned tile, dim3 block) {
        c.fill(NAN);
        launch(name, {ceil_div(s.n, tile), ceil_div(s.m, tile), 1}, block, c.data, nn.a.data, nn.b.data, s.m, s.n, s.k);
        check(name, nn.equals(c, false));
    };
    step("sgemm_1_naive", 16, {16, 16, 1});
    step("sgemm_2_tiled", 32, {32, 32, 1});
    step("sgemm_3_register_tile", 64, {256, 1, 1});
    step("sgemm_4_vectorised", 128, {256, 1, 1});
}

// Forward and backward of batch norm alone (identity, no dropout), compared with the formulas in f64.
void batch_norm(unsigned rows, unsigned features) {
    const size_t count = size_t(rows) * features;
    const unsigned tile_rows = 32, tiles = ceil_div(rows, tile_rows), chunks = ceil_div(rows, SUM_CHUNK);
    const dim3 grid{ceil_div(features, COLUMNS), ceil_div(rows, CHUNK), 1}, sum_grid{grid.x, chunks, 1}, block{COLUMNS, THREAD_ROWS, 1};
    const Mask none{};
    Buffer<float> z(count), out(count), pre(count), x_hat(count), dy(count), upstream(count), inv_std(features), mean(features), var(features), gamma(features),
        beta(features), tile_mean(size_t(tiles) * features), tile_m2(size_t(tiles) * features), dgamma(features), dbeta(features),
        partial_gamma(size_t(chunks) * features), partial_beta(size_t(chunks) * features);
    z.random(), upstream.random(), gamma.random(), beta.random(), mean.fill(0), var.fill(1);
    std::vector<double> mu(features), sigma2(features);
    for (unsigned j = 0; j < features; ++j) {
        for (unsigned i = 0; i < rows; ++i) mu[j] += double(z[size_t(i) * features + j]) / rows;
        for (unsigned i = 0; i < rows; ++i) sigma2[j] += pow(z[size_t(i) * features + j] - mu[j], 2) / rows;
        for (unsigned t = 0; t < tiles; ++t) {
            double tile_sum = 0, deviations = 0;
            const unsigned first = t * tile_rows, in_tile = min(tile_rows, rows - first);
            for (unsigned i = first; i < first + in_tile; ++i) tile_sum += z[size_t(i) * features + j];
            for (unsigned i = first; i < first + in_tile; ++i) deviations += pow(z[size_t(i) * features + j] - tile_sum / in_tile, 2);
            tile_mean[size_t(t) * features + j] = float(tile_sum / in_tile);
            tile_m2[size_t(t) * features + j] = float(deviations);
        }
    }
    memcpy(out.data, z.data, count * sizeof(float));
    launch("batch_norm_forward", grid, block, out.data, pre.data, x_hat.data, inv_std.data, mean.data, var.data, gamma.data, beta.data, tile_mean.data, tile_m2.data,
           rows, features, tile_rows, unsigned(IDENTITY), 0u, none, &running);
    memcpy(dy.data, upstream.data, count * sizeof(float));
    launch("batch_norm_backward_sums", sum_grid, block, dy.data, partial_gamma.data, partial_beta.data, pre.data, x_hat.data, rows, features, unsigned(IDENTITY), 0u, none);
    launch("batch_norm_backward", grid, block, dy.data, dgamma.data, dbeta.data, partial_gamma.data, partial_beta.data, x_hat.data, inv_std.data, gamma.data, rows,
           features);
    for (unsigned j = 0; j < features; ++j) {
        const double s = 1 / sqrt(sigma2[j] + 1e-5);
        double sum = 0, sum_hat = 0;
        auto hat = [&](unsigned i) { return (z[size_t(i) * features + j] - mu[j]) * s; };
        for (unsigned i = 0; i < rows; ++i) sum += upstream[size_t(i) * features + j], sum_hat += upstream[size_t(i) * features + j] * hat(i);
        check("dbeta", near(dbeta[j], sum, 1e-5));
        check("dgamma", near(dgamma[j], sum_hat, 1e-4));
        check("running mean", near(mean[j], 0.1 * mu[j], 1e-6));
        check("running variance", near(var[j], 0.9 + 0.1 * sigma2[j] * rows / (rows - 1.0), 1e-6));
        for (unsigned i = 0; i < rows; ++i) {
            const size_t e = size_t(i) * features + j;
            check("batch norm", near(out[e], gamma[j] * hat(i) + beta[j], 1e-5));
            check("batch norm dz", near(dy[e], gamma[j] * s * (upstream[e] - sum / rows - hat(i) * sum_hat / rows), 1e-4));
        }
    }
    memcpy(out.data, z.data, count * sizeof(float));
    launch("batch_norm_evaluate", grid, block, out.data, pre.data, mean.data, var.data, gamma.data, beta.data, rows, features, unsigned(IDENTITY));
    for (size_t e = 0; e < count; ++e) {
        const unsigned j = unsigned(e % features);
        check("batch norm in evaluation", near(out[e], gamma[j] * (z[e] - mean[j]) / sqrt(var[j] + 1e-5) + beta[j], 1e-5));
    }
}

void loss(unsigned rows, unsigned classes) {
    Buffer<float> z(size_t(rows) * classes), dz(size_t(rows) * classes);
    Buffer<unsigned> labels(rows), winners(rows);
    Buffer<Loss> row_losses(rows), total(1);
    unsigned diverged = 0;
    z.random(5);
    for (unsigned i = 0; i < rows; ++i) labels[i] = i % classes;
    const dim3 grid{ceil_div(rows, 8), 1, 1};
    const double* no_weights = nullptr;
    launch("softmax_cross_entropy", grid, {128, 1, 1}, dz.data, row_losses.data, z.data, labels.data, no_weights, rows, classes, 0.1, double(classes), 1.0 / rows);
    launch("loss_total", {1, 1, 1}, {256, 1, 1}, total.data, &diverged, row_losses.data, rows);
    launch("argmax", grid, {128, 1, 1}, winners.data, z.data, rows, classes);
    double objective = 0, cross_entropy = 0;
    unsigned long long correct = 0;
    for (unsigned i = 0; i < rows; ++i) {
        const float* row = &z[size_t(i) * classes];
        double sum = 0;
        unsigned best = 0;
        for (unsigned j = 0; j < classes; ++j) sum += exp(double(row[j])), best = row[j] > row[best] ? j : best;
        check("argmax", winners[i] == best);
        correct += best == labels[i];
        for (unsigned j = 0; j < classes; ++j) {
            const double target = 0.1 / classes + (j == labels[i] ? 0.9 : 0.0), nll = log(sum) - row[j];
            objective += target * nll / rows;
            if (j == labels[i]) cross_entropy += nll;
            check("dlogits", near(dz[size_t(i) * classes + j] * rows, exp(double(row[j])) / sum - target, 2e-6));
        }
    }
    check("objective", near(total[0].objective, objective, 1e-6) && diverged == 0);
    check("cross-entropy", near(total[0].cross_entropy_sum, cross_entropy, 1e-6));
    check("correct", total[0].correct == correct);
}

void elements() {
    for (unsigned count : {1u, 7u, 1027u}) {
        Buffer<float> dy(count), pre(count), before(count);
        dy.random(), pre.random();
        memcpy(before.data, dy.data, count * sizeof(float));
        launch("activation_backward", {ceil_div(count, 1024), 1, 1}, {256, 1, 1}, dy.data, pre.data, count, unsigned(TANH), 0u, Mask{});
        for (unsigned i = 0; i < count; ++i) check("tanh'", near(dy[i], before[i] * (1 - pow(tanh(pre[i]), 2)), 1e-6));

        Buffer<float> w(count), g(count), m(count), v(count), scale(1);
        Buffer<double> partials(ceil_div(count, 1024)), norm(1);
        g.random();
        launch("square_sum", {ceil_div(count, 1024), 1, 1}, {256, 1, 1}, partials.data, g.data, count);
        launch("clip_scale", {1, 1, 1}, {256, 1, 1}, scale.data, norm.data, partials.data, ceil_div(count, 1024), 0.5);
        double sum = 0;
        for (unsigned i = 0; i < count; ++i) sum += double(g[i]) * g[i];
        check("norm", near(norm[0], sqrt(sum), 1e-12) && near(scale[0], std::fmin(1.0, 0.5 / (sqrt(sum) + 1e-6)), 1e-7));
        auto one_step = [&](const char* name, auto rule, auto expected) {
            w.fill(1), m.fill(0), v.fill(0);
            launch(name, {ceil_div(count, 256), 1, 1}, {256, 1, 1}, w.data, g.data, m.data, v.data, count, rule, scale.data, &running);
            for (unsigned i = 0; i < count; ++i) check(name, near(w[i], expected(double(g[i]) * scale[0]), 1e-6));
        };
        one_step("sgd", SgdRule{0.1f, 0.9f, 0, 1, 0}, [](double g) { return 1 - 0.1 * 1.9 * g; });
        one_step("adam", AdamRule{0.1f, 1, 0, 1, 0, 1, 1, 0, 1, 1}, [](double g) { return 1 - 0.1 * g / (std::fabs(g) + 1); });
        one_step("rmsprop", RmsPropRule{0.1f, 0.75f, 0.25f, 1, 0, 0, 1}, [](double g) { return 1 - 0.1 * g / (std::fabs(g) / 2 + 1); });
        one_step("rprop", RpropRule{0.1f, 1, 0}, [](double g) { return g > 0 ? 0.9 : g < 0 ? 1.1 : 1.0; });
    }
}

void input() {
    const unsigned rows = 3, features = 35;
    Buffer<unsigned char> pixels(5 * features);
    Buffer<float> singles(5 * features), out(rows * features), scale(features), shift(features);
    Buffer<unsigned> indices(rows);
    for (size_t i = 0; i < pixels.size; ++i) singles[i] = pixels[i] = static_cast<unsigned char>(i * 31);
    scale.random(), shift.random();
    for (unsigned i = 0; i < rows; ++i) indices[i] = 4 - 2 * i;
    // Without mirroring and shift the augmented kernels must give what the plain ones give.
    const Augment nothing{1, 2, 3, 5, 7, 0, 0, 0.0}, everything{1, 2, 3, 5, 7, 1, 2, 0.1};
    auto expect_plain = [&](const char* name) {
        for (size_t e = 0; e < out.size; ++e)
            check(name, out[e] == singles[indices[e / features] * features + e % features] * scale[e % features] + shift[e % features]);
        out.fill(NAN);
    };
    const dim3 grid{rows, 1, 1}, block{256, 1, 1};
    launch("input_u8", grid, block, out.data, pixels.data, indices.data, scale.data, shift.data, features), expect_plain("input_u8");
    launch("input_f32", grid, block, out.data, singles.data, indices.data, scale.data, shift.data, features), expect_plain("input_f32");
    launch("augment_u8", grid, block, out.data, pixels.data, indices.data, scale.data, shift.data, features, nothing), expect_plain("augment_u8");
    launch("augment_f32", grid, block, out.data, singles.data, indices.data, scale.data, shift.data, features, nothing), expect_plain("augment_f32");
    launch("augment_u8", grid, block, out.data, pixels.data, indices.data, scale.data, shift.data, features, everything);
    for (size_t e = 0; e < out.size; ++e) check("augment_u8", std::isfinite(out[e]));
}

// The known answers of the reference implementation that was published with the paper (Random123, kat_vectors).
void philox() {
    const unsigned answers[3][10] = {{0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                     {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                     {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (const auto& a : answers) {
        const Words words = philox4x32(a[0], a[1], a[2], a[3], a[4], a[5]);
        for (unsigned i = 0; i < 4; ++i) check("philox", words.word[i] == a[6 + i]);
    }
}

} // namespace

int main(int count, char** arguments) {
    schedule.order = static_cast<cuda_cpu::Order>(count > 1 ? atoi(arguments[1]) : 0);
    philox();
    for (const Shape& shape : SHAPES) {
        for (const TileShape& tile : TILES) products(tile, shape);
        ladder(shape);
    }
    batch_norm(2, 1);
    batch_norm(100, 50);
    batch_norm(130, 33);
    loss(1, 2);
    loss(37, 101);
    loss(300, 10);
    elements();
    input();
    puts(failures ? "FAILED" : "all right");
    return failures != 0;
}
