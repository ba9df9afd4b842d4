/** \file
 * The embeddable API in C: an ensemble of models, each in a separate worker process, that predicts as one. Plain C99,
 * also for C++ and for the foreign-function interfaces of other languages. It has what a service needs; streams of
 * samples, and training, are in the C++ API (ensemble.hpp) only.
 *
 *   tutti_spec* spec = NULL;
 *   tutti_ensemble* ensemble = NULL;
 *   tutti_predictions* predictions = NULL;
 *   tutti_error* error = NULL;
 *   tutti_images images = {pixels, TUTTI_FLOAT32, 2, 3, 32, 32};
 *   tutti_values values;
 *   if (tutti_spec_load(TUTTI_ABI, "ensemble.yaml", NULL, 0, &spec, &error) == TUTTI_OK &&
 *       tutti_ensemble_create(spec, NULL, &ensemble, &error) == TUTTI_OK &&
 *       tutti_predict_images(ensemble, &images, &predictions, &error) == TUTTI_OK &&
 *       tutti_predictions_values(predictions, &values, &error) == TUTTI_OK)
 *     printf("%f\n", values.data[0]);
 *   else
 *     fprintf(stderr, "%s\n", tutti_error_text(error));
 *   tutti_error_free(error);
 *   tutti_predictions_free(predictions, NULL);
 *   tutti_ensemble_free(ensemble, NULL);
 *   tutti_spec_free(spec, NULL);
 *
 * Rules for all functions:
 *
 * - A function that can fail returns a tutti_code. Its last parameter takes the error: on failure `*error` is a new
 *   object that the caller frees, on success NULL. The parameter may be NULL. Outputs are NULL, or unchanged, on
 *   failure.
 * - A handle is a number that is never used twice, not an address. NULL, a handle that was freed, one of another type
 *   and any other pointer are therefore recognised, and are TUTTI_USAGE. Freeing NULL does nothing and is TUTTI_OK.
 * - What a handle gave (arrays, strings) is valid until it is freed. That memory, and the memory that the caller
 *   hands over, cannot be checked: reading it after the handle was freed is undefined, as everywhere in C.
 * - Every function may be called from any thread, also at the same time with the same handle. No C++ exception leaves
 *   a function.
 * - Strings are UTF-8 and end with a null byte. Arrays are row-major.
 */
#ifndef TUTTI_TUTTI_H
#define TUTTI_TUTTI_H

#include <stddef.h>
#include <stdint.h>

/** Marks the functions that the library exports. */
#if defined(__GNUC__)
#define TUTTI_C_API __attribute__((visibility("default")))
#else
#define TUTTI_C_API
#endif

/** Raised, and the minor number set to 0, if programs have to be compiled again. */
#define TUTTI_ABI_MAJOR 1
/** Raised if something was added: programs that were compiled before still run. */
#define TUTTI_ABI_MINOR 3
/** The interface that this header describes, for the functions that take `abi`. */
#define TUTTI_ABI (UINT32_C(65536) * TUTTI_ABI_MAJOR + TUTTI_ABI_MINOR)

#ifdef __cplusplus
extern "C" {
#endif

/** What became of a call. */
typedef enum tutti_code {
  TUTTI_OK = 0,          /**< it did what was asked */
  TUTTI_FAILED = 1,      /**< something broke while running: a worker, a device, a disk, memory */
  TUTTI_USAGE = 2,       /**< the description or the call is wrong: correct it and try again */
  TUTTI_INTERRUPTED = 3, /**< ended by its deadline, by a stop, or because the ensemble ends */
  TUTTI_QUEUE_FULL = 4   /**< as many submissions wait as are allowed: try again later */
} tutti_code;

/** The type of the values of a tensor. */
typedef enum tutti_dtype {
  TUTTI_FLOAT32 = 0,  /**< 4 bytes */
  TUTTI_FLOAT16 = 1,  /**< 2 bytes, IEEE 754 */
  TUTTI_BFLOAT16 = 2, /**< 2 bytes: the upper half of a float32 */
  TUTTI_UINT8 = 3,    /**< 1 byte */
  TUTTI_INT32 = 4,    /**< 4 bytes */
  TUTTI_INT64 = 5,    /**< 8 bytes */
  TUTTI_BOOL = 6      /**< 1 byte, 0 or 1 */
} tutti_dtype;

/** Why a call failed. */
typedef struct tutti_error tutti_error;
/** A checked description of an ensemble. */
typedef struct tutti_spec tutti_spec;
/** A running ensemble: its workers are up and warm. */
typedef struct tutti_ensemble tutti_ensemble;
/** What an ensemble predicted for the samples of a call. */
typedef struct tutti_predictions tutti_predictions;
/** A text that the library wrote. */
typedef struct tutti_text tutti_text;
/** With which any number of submissions are given up. */
typedef struct tutti_stop tutti_stop;
/** Memory of an ensemble, for samples that are then submitted. */
typedef struct tutti_lease tutti_lease;

/* --- Version ----------------------------------------------------------------------------------------------------- */

/** The version of the library: "0.1.0". Never NULL. */
TUTTI_C_API const char* tutti_version(void);
/** The interface of the library, as TUTTI_ABI. */
TUTTI_C_API uint32_t tutti_abi(void);
/** Whether a program that was compiled with the header of `abi` (TUTTI_ABI) can use this library: TUTTI_USAGE, with
 * both numbers, if the major numbers differ or the header is newer. Functions that make a tutti_spec check this too, so
 * no program comes further with a header that does not fit. */
TUTTI_C_API tutti_code tutti_check_abi(uint32_t abi, tutti_error** error);

/* --- Errors ------------------------------------------------------------------------------------------------------ */

/** The code of the call that failed. TUTTI_OK for NULL, TUTTI_USAGE for what is not an error. */
TUTTI_C_API tutti_code tutti_error_code(const tutti_error* error);
/** One line without a full stop. The texts of NULL are empty; those of an error that was freed say so. Never NULL. */
TUTTI_C_API const char* tutti_error_message(const tutti_error* error);
/** The facts: empty, or one or several lines. Never NULL. */
TUTTI_C_API const char* tutti_error_detail(const tutti_error* error);
/** What to do: empty or a line. Never NULL. */
TUTTI_C_API const char* tutti_error_hint(const tutti_error* error);
/** Message, detail and hint, each on lines of its own. Never NULL. */
TUTTI_C_API const char* tutti_error_text(const tutti_error* error);
/** TUTTI_USAGE if it was freed before, or is not an error. */
TUTTI_C_API tutti_code tutti_error_free(tutti_error* error);

/* --- Texts ------------------------------------------------------------------------------------------------------- */

/** The characters of a text. Empty for NULL; a text that was freed says so. Never NULL. */
TUTTI_C_API const char* tutti_text_data(const tutti_text* text);
/** Frees a text. */
TUTTI_C_API tutti_code tutti_text_free(tutti_text* text, tutti_error** error);

/* --- Descriptions ------------------------------------------------------------------------------------------------ */

/** Reads a YAML file. `overrides`: `override_count` strings `key=value` that are applied after it
 * ("members.0.weight=2"). `abi` is TUTTI_ABI. TUTTI_USAGE, with every mistake as file:line:column in the detail. */
TUTTI_C_API tutti_code tutti_spec_load(uint32_t abi, const char* file, const char* const* overrides,
                                       size_t override_count, tutti_spec** spec, tutti_error** error);
/** The same for YAML text. `folder` is that of `${here}` and of relative includes; NULL: the current one. */
TUTTI_C_API tutti_code tutti_spec_parse(uint32_t abi, const char* yaml, const char* folder,
                                        const char* const* overrides, size_t override_count, tutti_spec** spec,
                                        tutti_error** error);
/** The description in effect, as YAML with all defaults. Valid until the description is freed. */
TUTTI_C_API tutti_code tutti_spec_yaml(const tutti_spec* spec, const char** yaml, tutti_error** error);
/** Frees a description; ensembles that were made of it continue. */
TUTTI_C_API tutti_code tutti_spec_free(tutti_spec* spec, tutti_error** error);

/* --- Ensembles --------------------------------------------------------------------------------------------------- */

/** What happened to a member of a running ensemble. Later versions may add kinds: ignore those that you do not know. */
typedef enum tutti_event_kind {
  TUTTI_DIED = 0,     /**< a worker of it ended; it is replaced, unless its restarts are spent */
  TUTTI_REPLACED = 1, /**< a new worker predicts in its place */
  TUTTI_DEGRADED = 2, /**< the ensemble continues without the member; `text` says why */
  TUTTI_RESTORED = 3, /**< every worker that is left runs again; `member` is empty */
  TUTTI_JOINED = 4,   /**< a member was added; calls after tutti_ensemble_add_member() are answered by it, too */
  TUTTI_LEFT = 5      /**< a member was removed, and no call needs it any more: its worker was told to end */
} tutti_event_kind;

/** Is called with each event, one at a time, on a thread of its own, until the ensemble is freed. No call waits for it
 * but tutti_ensemble_free(); an event may be told before or after the call that caused it returns. The strings are
 * valid during the call. It may ask for status and health. */
typedef void (*tutti_on_event)(void* user, tutti_event_kind kind, const char* member, const char* text);

/** Settings of an ensemble that are not part of its description. Begin with TUTTI_OPTIONS_INIT. Later versions may add
 * fields at the end. */
typedef struct tutti_options {
  size_t size;             /**< sizeof(tutti_options) */
  const char* worker;      /**< the program tutti-worker; NULL: $TUTTI_WORKER, then next to program or library */
  const char* trace;       /**< the trace file, written when the ensemble ends; NULL: none */
  size_t most_submissions; /**< submissions that may wait at a time; 0: any number */
  tutti_on_event on_event; /**< NULL: nobody is told */
  void* on_event_user;     /**< the first argument of on_event */
} tutti_options;
/** The defaults of tutti_options. */
#define TUTTI_OPTIONS_INIT \
  { sizeof(tutti_options), NULL, NULL, 0, NULL, NULL }

/** Starts the workers and returns when all are loaded and warm. `options` may be NULL. On failure nothing is left
 * running. */
TUTTI_C_API tutti_code tutti_ensemble_create(const tutti_spec* spec, const tutti_options* options,
                                             tutti_ensemble** ensemble, tutti_error** error);
/** Ends running calls and submissions with TUTTI_INTERRUPTED, calls the callbacks of these, stops the workers and waits
 * for them (bounded by `stop_deadline_s`). TUTTI_USAGE in a callback of the same ensemble, which it would wait for. */
TUTTI_C_API tutti_code tutti_ensemble_free(tutti_ensemble* ensemble, tutti_error** error);
/** Ends running calls with TUTTI_INTERRUPTED and rejects later ones. Not for signal handlers. */
TUTTI_C_API tutti_code tutti_ensemble_interrupt(tutti_ensemble* ensemble, tutti_error** error);
/** Stops the intake: running calls finish what is in flight and then are TUTTI_INTERRUPTED, after `drain_deadline_s` at
 * the latest. Returns at once. */
TUTTI_C_API tutti_code tutti_ensemble_drain(tutti_ensemble* ensemble, tutti_error** error);
/** Gives the member that is called `name` the model of `next` while predictions go on, and returns when the new version
 * has taken over, between two segments. `next` is the description of the ensemble with another `model` of this member,
 * or what belongs to it. On failure the old version stays: TUTTI_USAGE if `next` differs in more or the new version
 * outputs another shape, TUTTI_FAILED if both do not fit into memory while it is loaded, or it cannot be started. */
TUTTI_C_API tutti_code tutti_ensemble_replace_member(tutti_ensemble* ensemble, const char* name, const tutti_spec* next,
                                                     tutti_error** error);
/** Adds the member that is called `name` in the description `from` to the ensemble, as its last, while predictions go
 * on, and returns when it is loaded and warm: calls that begin later are answered by all members. Nothing else of
 * `from` counts. On failure the ensemble stays as it is: TUTTI_USAGE if `from` has no such member, the ensemble has one
 * of this name, or it outputs another shape; or if members of this ensemble stay (docs/c-api.md); TUTTI_FAILED if it
 * does not fit into memory, or cannot be started. */
TUTTI_C_API tutti_code tutti_ensemble_add_member(tutti_ensemble* ensemble, const tutti_spec* from, const char* name,
                                                 tutti_error** error);
/** Removes the member that is called `name`: calls that begin later are answered without it. Waits only for another
 * change; its worker leaves when the calls that began before have ended. TUTTI_USAGE, and nothing has changed, if there
 * is no such member, it is the last one, or members of this ensemble stay. */
TUTTI_C_API tutti_code tutti_ensemble_remove_member(tutti_ensemble* ensemble, const char* name, tutti_error** error);
/** For a readiness probe: `*ready` is 1 if a prediction would be computed now, else 0. `problems` may be NULL;
 * `*problems` is a JSON array of strings: why it is not ready, or what is degraded while it is. The caller frees it. */
TUTTI_C_API tutti_code tutti_ensemble_health(const tutti_ensemble* ensemble, int* ready, tutti_text** problems,
                                             tutti_error** error);
/** A JSON object with the state of the ensemble, its members and the counts of faults. The fields of a member are those
 * of report.json (docs/report.md). `memory` other than 0: also proportional set sizes, which cost some milliseconds
 * per process. The caller frees it. */
TUTTI_C_API tutti_code tutti_ensemble_status(const tutti_ensemble* ensemble, int memory, tutti_text** json,
                                             tutti_error** error);

/* --- Samples ----------------------------------------------------------------------------------------------------- */

/** Consecutive images in memory of the caller: count x channels x height x width. */
typedef struct tutti_images {
  const void* pixels; /**< may be NULL if `count` is 0 */
  tutti_dtype dtype;  /**< TUTTI_FLOAT32: passed on as they are; TUTTI_UINT8: become float32 in 0..1 */
  uint64_t count;     /**< images */
  uint32_t channels;  /**< of one image */
  uint32_t height;    /**< of one image, in pixels */
  uint32_t width;     /**< of one image, in pixels */
} tutti_images;

/** The bytes of an encoded picture (JPEG, PNG, WebP, TIFF, BMP) in memory of the caller. */
typedef struct tutti_encoded {
  const void* bytes; /**< as in a file */
  size_t size;       /**< bytes */
} tutti_encoded;

/** One tensor of consecutive samples in memory of the caller: samples x dims. */
typedef struct tutti_tensor {
  const char* name;     /**< as the `inputs` of the description call it */
  tutti_dtype dtype;    /**< of its values */
  const void* data;     /**< one sample after another; may be NULL for 0 samples */
  const uint32_t* dims; /**< the sizes of one sample; may be NULL if `rank` is 0 */
  size_t rank;          /**< how many sizes: 0 for a number */
} tutti_tensor;

/* --- Predictions ------------------------------------------------------------------------------------------------- */

/** An array that belongs to a tutti_predictions: count x shape. */
typedef struct tutti_values {
  const float* data;     /**< count x width values; NULL if there are none */
  uint64_t count;        /**< predictions: one per sample */
  uint64_t width;        /**< values per prediction: the product of the sizes */
  const uint32_t* shape; /**< of one prediction: {classes}, or {classes, height, width} of a mask */
  size_t rank;           /**< how many sizes: 0 for a number */
} tutti_values;

/** The classes of a tutti_predictions: count x width. */
typedef struct tutti_classes {
  const int64_t* data; /**< -1 where a segment was set aside; NULL if the rule decides for none */
  uint64_t count;      /**< predictions: one per sample */
  uint64_t width;      /**< classes per prediction: 1 as a rule, one per pixel of a mask, 0 if there are none */
} tutti_classes;

/** A run of samples whose prediction is not that of all members. */
typedef struct tutti_incomplete {
  uint64_t first;           /**< its first sample */
  uint64_t count;           /**< samples */
  uint32_t members_present; /**< members whose predictions are in it */
  const size_t* absent;     /**< the ranks of the other members, ascending */
  size_t absent_count;      /**< how many these are */
  int set_aside;            /**< 1: it killed too many workers; its values are NaN and its classes -1 */
} tutti_incomplete;

/** Predicts images and waits. TUTTI_USAGE if they do not fit the ensemble's `input`, or in a callback of the same
 * ensemble. 0 images give 0 predictions. */
TUTTI_C_API tutti_code tutti_predict_images(tutti_ensemble* ensemble, const tutti_images* images,
                                            tutti_predictions** predictions, tutti_error** error);
/** The same for `count` encoded pictures. The ensemble's `input` has a `resize`, or is a folder. */
TUTTI_C_API tutti_code tutti_predict_encoded(tutti_ensemble* ensemble, const tutti_encoded* pictures, size_t count,
                                             tutti_predictions** predictions, tutti_error** error);
/** The same for `samples` samples of the `tensor_count` tensors that the ensemble's `input` declares, in any order. */
TUTTI_C_API tutti_code tutti_predict_tensors(tutti_ensemble* ensemble, const tutti_tensor* tensors, size_t tensor_count,
                                             uint64_t samples, tutti_predictions** predictions, tutti_error** error);

/** The ensemble's values: rank 0 and no data with the rule `none`. */
TUTTI_C_API tutti_code tutti_predictions_values(const tutti_predictions* predictions, tutti_values* values,
                                                tutti_error** error);
/** The classes that the rule decides for. */
TUTTI_C_API tutti_code tutti_predictions_classes(const tutti_predictions* predictions, tutti_classes* classes,
                                                 tutti_error** error);
/** How far the members are apart, if `combine` has `spread: true`; else no data. */
TUTTI_C_API tutti_code tutti_predictions_spread(const tutti_predictions* predictions, tutti_values* spread,
                                                tutti_error** error);
/** How many members' own values there are: 0 unless asked for (`save_members`, or the rule `none`). */
TUTTI_C_API tutti_code tutti_predictions_member_count(const tutti_predictions* predictions, size_t* count,
                                                      tutti_error** error);
/** The values of the member of `rank`, NaN where it is not present. `name` may be NULL. */
TUTTI_C_API tutti_code tutti_predictions_member(const tutti_predictions* predictions, size_t rank, const char** name,
                                                tutti_values* values, tutti_error** error);
/** How many runs of samples lack a member: 0 if every member predicted every sample. */
TUTTI_C_API tutti_code tutti_predictions_incomplete_count(const tutti_predictions* predictions, size_t* count,
                                                          tutti_error** error);
/** One of these runs, in the order of the samples. */
TUTTI_C_API tutti_code tutti_predictions_incomplete(const tutti_predictions* predictions, size_t index,
                                                    tutti_incomplete* incomplete, tutti_error** error);
/** Frees predictions, with the arrays that they gave. */
TUTTI_C_API tutti_code tutti_predictions_free(tutti_predictions* predictions, tutti_error** error);

/* --- Submissions ------------------------------------------------------------------------------------------------- */

/** Makes a stop that has not been requested. */
TUTTI_C_API tutti_code tutti_stop_create(tutti_stop** stop, tutti_error** error);
/** Gives up all submissions that were given it, and later ones: TUTTI_INTERRUPTED. */
TUTTI_C_API tutti_code tutti_stop_request(tutti_stop* stop, tutti_error** error);
/** Frees a stop; submissions that were given it continue. */
TUTTI_C_API tutti_code tutti_stop_free(tutti_stop* stop, tutti_error** error);

/** What a submission may be told. Begin with TUTTI_SUBMIT_OPTIONS_INIT. Later versions may add fields at the end. */
typedef struct tutti_submit_options {
  size_t size;              /**< sizeof(tutti_submit_options) */
  uint64_t timeout_ns;      /**< nanoseconds from now after which it is given up: TUTTI_INTERRUPTED; 0: never */
  int32_t priority;         /**< those of a higher priority get free slots first; those of the same take turns */
  int32_t refuse_when_full; /**< 0: wait for room in the queue; 1: TUTTI_QUEUE_FULL at once */
  const tutti_stop* stop;   /**< NULL: none */
} tutti_submit_options;
/** The defaults of tutti_submit_options. */
#define TUTTI_SUBMIT_OPTIONS_INIT \
  { sizeof(tutti_submit_options), 0, 0, 0, NULL }

/** Is called once for each submission that was accepted: `predictions` and NULL, or NULL and `error`. The callback owns
 * what it gets and frees it. It runs on the thread that drives all submissions of the ensemble, so it should only pass
 * the result on; it may submit (a full queue is refused then), but neither predict nor free the same ensemble. It
 * returns: no callback may leave by longjmp or by an exception of its own. */
typedef void (*tutti_on_done)(void* user, tutti_predictions* predictions, tutti_error* error);

/** Predicts images without waiting. `options` may be NULL. The pixels must stay valid until `done` is called, with
 * `user` as its first argument. On failure it is not called. */
TUTTI_C_API tutti_code tutti_submit_images(tutti_ensemble* ensemble, const tutti_images* images,
                                           const tutti_submit_options* options, tutti_on_done done, void* user,
                                           tutti_error** error);
/** The same for encoded pictures; the array itself may go when this returns, the bytes must stay. */
TUTTI_C_API tutti_code tutti_submit_encoded(tutti_ensemble* ensemble, const tutti_encoded* pictures, size_t count,
                                            const tutti_submit_options* options, tutti_on_done done, void* user,
                                            tutti_error** error);
/** The same for tensors; the array, names and sizes may go when this returns, the values must stay. */
TUTTI_C_API tutti_code tutti_submit_tensors(tutti_ensemble* ensemble, const tutti_tensor* tensors, size_t tensor_count,
                                            uint64_t samples, const tutti_submit_options* options, tutti_on_done done,
                                            void* user, tutti_error** error);

/* --- Leases ------------------------------------------------------------------------------------------------------ */

/** One tensor of the samples of a lease: samples x dims. */
typedef struct tutti_leased_tensor {
  const char* name;     /**< as the `inputs` of the description call it; "image" of images */
  tutti_dtype dtype;    /**< of its values */
  void* data;           /**< to write to: one sample after another */
  size_t size;          /**< bytes of all samples */
  const uint32_t* dims; /**< the sizes of one sample */
  size_t rank;          /**< how many sizes: 0 for a number */
} tutti_leased_tensor;

/** Leases memory of the ensemble for `count` samples, 1 to `segment_images`: what is written there is not copied. All
 * `slots` but one can be leased at a time; if there is none, waits, or is TUTTI_QUEUE_FULL, as `options` say. Of these,
 * timeout, stop and refuse_when_full count; they may be NULL. TUTTI_USAGE if the samples of the ensemble are not stored
 * as they are submitted: with `tiles`, and for pictures that members resize. */
TUTTI_C_API tutti_code tutti_lease_create(tutti_ensemble* ensemble, uint64_t count, const tutti_submit_options* options,
                                          tutti_lease** lease, tutti_error** error);
/** How many tensors a sample has: 1 as a rule. */
TUTTI_C_API tutti_code tutti_lease_tensor_count(const tutti_lease* lease, size_t* count, tutti_error** error);
/** Where to write one of them. It holds whatever was there before. The memory stays mapped until the lease is freed,
 * also if the ensemble is freed before. TUTTI_USAGE once it was submitted: what is written then may change this
 * prediction, or those of others. */
TUTTI_C_API tutti_code tutti_lease_tensor(const tutti_lease* lease, size_t index, tutti_leased_tensor* tensor,
                                          tutti_error** error);
/** Predicts the samples of a lease without waiting: once. `options` may be NULL. On failure, such as TUTTI_QUEUE_FULL,
 * `done` is not called, and the lease is as it was. */
TUTTI_C_API tutti_code tutti_submit_lease(tutti_ensemble* ensemble, tutti_lease* lease,
                                          const tutti_submit_options* options, tutti_on_done done, void* user,
                                          tutti_error** error);
/** Frees a lease; one that was not submitted gives its memory back. */
TUTTI_C_API tutti_code tutti_lease_free(tutti_lease* lease, tutti_error** error);

#ifdef __cplusplus
}
#endif

#endif
