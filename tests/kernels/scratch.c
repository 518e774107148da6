// Answers each line, a window's h, w, c of x and y, its kernel, stride, dilation and padding, the width of gradients,
// whether it is depthwise, and how many input channels are trained, with the scratch that the way back wants.

#include <stdio.h>

#include "work.h"

enum { NUMBERS = 17 };

int main(void) {
    int n[NUMBERS];
    for (int i = 0; scanf("%d", &n[i]) == 1; i = (i + 1) % NUMBERS) {
        if (i == NUMBERS - 1) {
            const tl_window_t g = {
                n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], 0, 0, 0, 0};
            const int width = n[14], depthwise = n[15], count = n[16];
            printf("%d %d\n", (int)tl_grad_input_scratch(&g, width, depthwise),
                (int)tl_grad_weight_scratch(&g, width, depthwise, count));
        }
    }
    return 0;
}
