/* An exported model on live data: a line of numbers in, a line with the output of the step out.

   cc -O3 stream.c model.c -lm -o stream
   printf '0.1 0.2 0.3\n0.4 0.5 0.6\n' | ./stream
*/
#include <stdio.h>

#include "model.h"

int main(void) {
  static model_state state; /* all the memory there is */
  static float x[MODEL_INPUT], y[MODEL_OUTPUT];
  model_init(&state);
  for (;;) {
    for (int i = 0; i < MODEL_INPUT; i++)
      if (scanf("%f", &x[i]) != 1) return 0;
    if (model_step(&state, x, y) != 0) return 1;
    for (int i = 0; i < MODEL_OUTPUT; i++) printf("%.9g%c", (double)y[i], i + 1 < MODEL_OUTPUT ? ' ' : '\n');
    fflush(stdout);
  }
}
