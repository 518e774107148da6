// A .tlm file (docs/SPEC.md) verified and run where it lies. Model files are untrusted: nothing here reads or writes
// outside the buffers it is given, whatever the file says.

#ifndef TL_PROGRAM_H
#define TL_PROGRAM_H

#include <stdbool.h>

#include "tl.h"

// A status is 0, or a code below + 256 * the index of the section, tensor, operator or element it is about.
// firmware/tinylearn/errors.py has a sentence for each code.
typedef int32_t tl_status_t;

enum {
    TL_OK = 0,
    // the file
    TL_E_ALIGN = 1, // the model does not lie on a multiple of 4
    TL_E_LENGTH,    // shorter than its header says, or than any header
    TL_E_MAGIC,     // not a .tlm
    TL_E_VERSION,   // a major version that this reader does not know
    TL_E_CRC,       // damaged
    TL_E_SECTION,   // section: outside the file, misaligned, twice, or missing (index = number of sections)
    TL_E_COUNT,     // section: too many records, or not of their size
    TL_E_HEADER,    // input, output, features or head name a tensor or operator that cannot be it
    // tensors
    TL_E_TYPE = 16, // tensor: unknown type or region
    TL_E_SHAPE,     // tensor: the shape does not give its bytes
    TL_E_PLACE,     // tensor: outside the file or the arena, or misaligned
    TL_E_SCALE,     // tensor: a scale that is not a positive number, or scales outside the data
    // operators
    TL_E_CODE = 32, // operator: unknown code
    TL_E_VARIANT,   // operator: unknown variant
    TL_E_TENSOR,    // operator: names a tensor that does not exist, or has the wrong type for that
    TL_E_FIELD,     // operator: a field of the geometry outside its range (kernel 0, shift 90, ...)
    TL_E_GEOMETRY,  // operator: shapes, window and padding do not fit together
    TL_E_BYTES,     // operator: a buffer of another size than the geometry needs
    TL_E_REQUANT,   // operator: requantisation outside the file, or a multiplier, shift or scale outside its range
    TL_E_OVERLAP,   // operator: the output overlaps something that is still read
    TL_E_OVERFLOW,  // operator: a sum of products and bias that an int32 may not hold
    // arguments
    TL_E_RANGE = 48, // first and last are not a range of operators
    TL_E_PLACES,     // places has not one int32 per tensor
    TL_E_ARENA,      // the arena does not lie on a multiple of 4
    TL_E_PARAMS,     // params has not the number of integers that the operator's geometry has
    TL_E_BUFFER,     // op: a buffer is missing, or does not start on a multiple of 4
    TL_E_NUMBER,     // element: NaN or infinity; or a scale that is not a positive number
    TL_E_LABEL,      // sample or row: a class that the head does not have
    TL_E_MASKS,      // operator: its mask is outside the arena; or masks has not one int32 per operator (index 0)
    TL_E_PLAN,       // record of a backward plan: what it asks for does not fit its operator or the arena
};

// A buffer of somebody else's: where, and how many bytes.
typedef struct {
    void *at;
    size_t bytes;
} tl_span_t;

// Operator codes, as docs/SPEC.md has them.
enum {
    TL_CONV2D = 1,
    TL_DEPTHWISE_CONV2D,
    TL_FULLY_CONNECTED,
    TL_AVG_POOL,
    TL_MAX_POOL,
    TL_MEAN,
    TL_ADD,
    TL_PAD,
    TL_CLAMP,
    TL_SOFTMAX,
    TL_RESHAPE,
    TL_CODES,
};

enum { TL_MAX_FIELDS = 18 };

// What an operator reads and writes. An empty span where it has no such buffer.
// TL_START: of a dense layer, optional: start, and behind it panel, of tl_work_t.
enum { TL_X, TL_X2, TL_W, TL_B, TL_REQUANT, TL_Y, TL_SCRATCH, TL_SPANS, TL_START = TL_X2 };

// One operator on its buffers. The geometry is the struct of tl.h that the code asks for; seen as integers, its fields.
typedef struct {
    int32_t code, variant;
    bool changed; // w or b are not those in the file
    bool packed;  // the scratch is as the last run left it: TL_PACKED
    union {
        int32_t fields[TL_MAX_FIELDS];
        tl_window_t window;
        tl_dense_t dense;
        tl_mean_t mean;
        tl_add_t add;
        tl_pad_t pad;
        tl_clamp_t clamp;
        tl_softmax_t softmax;
        int32_t n; // reshape: bytes
    } g;
    tl_span_t span[TL_SPANS];
} tl_call_t;

// How many integers the geometry of an operator is; 0 for an unknown code.
int32_t tl_call_fields(int32_t code);

// Where they stand in a table of all geometries, one after the other, of a known code.
int32_t tl_call_first(int32_t code);

// a * b, or UINT32_MAX, which no buffer has
uint32_t tl_times(uint32_t a, uint32_t b);

// Bytes of requantisation per output channel: an int32 multiplier and an int8 shift, or a float64 for dense layers.
uint32_t tl_requant_bytes(int32_t code);

// Of a known code: whether the geometry is sound and every buffer has exactly the bytes that it needs, so that the
// kernel cannot leave them. y may be x itself (add: x or x2) for the operators that go element by element: add, clamp,
// reshape; else it overlaps nothing.
tl_status_t tl_call_check(const tl_call_t *call);

// Whether the numbers in the buffers are sound: multipliers and shifts in their range, no sum that an int32 may not
// hold.
tl_status_t tl_call_check_values(const tl_call_t *call);

// Runs a checked operator.
void tl_call_run(const tl_call_t *call);

// Verifies a whole file: checksum, tables, and every operator's geometry against the tensors that it names.
tl_status_t tl_check(const void *model, size_t length);

// What places says of a tensor that lies where its record says, and has, or has not, other values than it came with.
enum { TL_AS_IT_CAME = -1, TL_CHANGED = -2 };

// Added to the place of a convolution's scratch: it lies as its last run has left it, and has the panel of all weights,
// which are the same still. What the caller says wrongly here makes a wrong answer.
enum { TL_PACKED = 1 << 30 };

// As well: the scratch goes on to the arena's end, and may be more than the file has for it.
enum { TL_TO_THE_END = 3 };

// Runs operators first .. last-1. places: none, or one int32 per tensor: TL_AS_IT_CAME, TL_CHANGED, else an offset in
// the arena; of scratch, 1 or 2 above a multiple of 4: there are but a half, a quarter of its bytes.
// masks: none, or one int32 per operator: -1, or the offset in the arena where it leaves its clip bits: bit i of byte i
// / 8 is 1 where output i lies strictly inside the clamp. Every tensor, place and geometry it uses is checked again, so
// that a wrong argument or an unchecked file gives a status.
tl_status_t tl_run(
    const void *model, size_t length, tl_span_t arena, int32_t first, int32_t last, tl_span_t places, tl_span_t masks);

// One operator on buffers. params: the operator's code + 256 * its variant (docs/SPEC.md), then the fields of its
// geometry struct in order.
tl_status_t tl_op(const tl_span_t *params, const tl_span_t spans[TL_SPANS]);

// CRC-32 of IEEE 802.3, as zlib's: start with crc = 0, go on with the last result.
uint32_t tl_crc32(uint32_t crc, const void *data, size_t length);

// dst int8 [n], src float32 [n], scale float32 [1]: dst = clamp(round(src / scale) + zero) as TFLite rounds: the
// quotient to float32, that half away from zero. In integers: a board without floats gives the same bits.
tl_status_t tl_quantize(const tl_span_t spans[3], int32_t zero);

// dst int8 [n] = src uint8 [n] - 128
tl_status_t tl_pixels(const tl_span_t spans[2]);

#endif
