/* Embeds an ensemble in a program in C: it predicts four images, submits four more with a callback, and shows what an
 * error says. The members are `fake`, which compute without LibTorch. */
#include <stdio.h>
#include <stdlib.h>

#include <pthread.h>

#include <tutti/tutti.h>

static const char* const kYaml =
    "members:\n"
    "  - {name: a, model: {kind: fake, classes: 3}}\n"
    "  - {name: b, model: {kind: fake, classes: 3}}\n"
    "assignment: cpu\n"
    "input: {shape: [3, 32, 32]}\n";

enum { kImages = 4, kValues = 3 * 32 * 32 };

/* Prints what went wrong and ends the program. It takes the address of the error: C may evaluate the arguments in any
 * order, so the error itself could be read before the call that makes it. */
static void check(tutti_code code, tutti_error* const* error) {
  if (code == TUTTI_OK) return;
  fprintf(stderr, "%s\n", tutti_error_text(*error));
  exit(code);
}

static void print_classes(const char* title, const tutti_predictions* predictions) {
  tutti_error* error = NULL;
  tutti_classes classes;
  uint64_t i;
  check(tutti_predictions_classes(predictions, &classes, &error), &error);
  for (i = 0; i < classes.count; ++i) printf("%s %d: class %d\n", title, (int)i, (int)classes.data[i]);
}

/* What a callback passes to the thread that waits. */
struct result {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  tutti_predictions* predictions;
  tutti_error* error;
};

static void on_done(void* user, tutti_predictions* predictions, tutti_error* error) {
  struct result* result = user;
  pthread_mutex_lock(&result->mutex);
  result->predictions = predictions;
  result->error = error;
  pthread_cond_signal(&result->changed);
  pthread_mutex_unlock(&result->mutex);
}

int main(void) {
  static float pixels[kImages * kValues];
  tutti_images images = {pixels, TUTTI_FLOAT32, kImages, 3, 32, 32};
  struct result result = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, NULL};
  tutti_submit_options options = TUTTI_SUBMIT_OPTIONS_INIT;
  tutti_spec* spec = NULL;
  tutti_ensemble* ensemble = NULL;
  tutti_predictions* predictions = NULL;
  tutti_error* error = NULL;
  int i;
  for (i = 0; i < kImages * kValues; ++i) pixels[i] = (float)(i % 7) / 7.0f;

  printf("Tutti %s\n", tutti_version());
  check(tutti_spec_parse(TUTTI_ABI, kYaml, NULL, NULL, 0, &spec, &error), &error);
  check(tutti_ensemble_create(spec, NULL, &ensemble, &error), &error);
  check(tutti_spec_free(spec, &error), &error);

  check(tutti_predict_images(ensemble, &images, &predictions, &error), &error);
  print_classes("image", predictions);
  check(tutti_predictions_free(predictions, &error), &error);

  options.timeout_ns = UINT64_C(60000000000);
  check(tutti_submit_images(ensemble, &images, &options, on_done, &result, &error), &error);
  pthread_mutex_lock(&result.mutex);
  while (result.predictions == NULL && result.error == NULL) pthread_cond_wait(&result.changed, &result.mutex);
  pthread_mutex_unlock(&result.mutex);
  check(tutti_error_code(result.error), &result.error);
  print_classes("submitted image", result.predictions);
  check(tutti_predictions_free(result.predictions, &error), &error);

  check(tutti_ensemble_free(ensemble, &error), &error);
  if (tutti_ensemble_free(ensemble, &error) != TUTTI_OK) printf("freed twice: %s\n", tutti_error_message(error));
  tutti_error_free(error);
  return 0;
}
