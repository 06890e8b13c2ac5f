/* leaderboard.h: what the Open LLM Leaderboard's tasks leave to Python, and the variants of the
 * same data sets with chain of thought: MMLU-Pro, BIG-Bench Hard, GPQA, MuSR, MATH.
 *
 * All are document functions (dataset.h); functions.c names them. A process_docs function that
 * gives NULL drops the document. */
#ifndef ASSAY_TASKS_LEADERBOARD_H
#define ASSAY_TASKS_LEADERBOARD_H

#include "tasks/dataset.h"

document_function bbh_worked;   /* as: a worked example without "Let's think step by step." */
document_function bbh_answered; /* as: the same with nothing but its answer */
document_function gpqa_docs;    /* process_docs: choices in the order that "shuffle" gives */
document_function math_level_5; /* process_docs: adds the boxed answer; the hardest level only */
document_function minerva_math; /* process_docs: the same of all, written Minerva's way */
document_function math_text;    /* doc_to_text */
document_function mmlu_pro_text, mmlu_pro_choice;         /* leaderboard_mmlu_pro */
document_function mmlu_pro_cot_text, mmlu_pro_cot_target; /* mmlu_pro */
document_function musr_text, musr_choice;

#endif
