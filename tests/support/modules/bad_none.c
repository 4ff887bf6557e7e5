/* SPDX-License-Identifier: MIT */
/* A shared object that is no module: it does not export ganger_module. */
int bad_none_answer(void);

int bad_none_answer(void)
{
        return 42;
}
