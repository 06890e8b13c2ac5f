/* classes.h: scores of classifications, from counts. Agree with scikit-learn 1.x. */
#ifndef ASSAY_METRICS_CLASSES_H
#define ASSAY_METRICS_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

enum { CLASSES_MAX = 1 << 20 };

/* How often each class is the gold one, is predicted, and is both. */
struct class_counts {
    int n_classes;
    double *gold, *predicted;    /* [n_classes] */
    double *both;                /* [n_classes], or NULL: not wanted */
    double n, n_right, n_both_1; /* all; right ones; those of label 1 */
    int first_label;             /* the label of class 0 */
};

void class_counts_add(struct class_counts *c, int gold, int predicted); /* numbers of classes */

enum f1_average { F1_MACRO, F1_MICRO, F1_WEIGHTED };

/* sklearn.metrics.f1_score(average="macro", ...) over the classes that are there; `both` is needed.
 * 0 where there is nothing to divide by. */
double f1_average(const struct class_counts *c, enum f1_average how);

/* f1_score(average="binary"): of label 1. NaN where the labels are not two, or two without 1. */
double f1_of_two_classes(const struct class_counts *c);

/* matthews_corrcoef, of any number of classes; 0 where either side is all one class. */
double matthews_correlation(const struct class_counts *c);

/* Counts of n pairs of labels in [0, n_classes); memory for gold, predicted and both, n_classes
 * each, is the caller's and is cleared. */
void class_counts_of(struct class_counts *c, const int *gold, const int *predicted, int64_t n);

/* Guo et al. 2017: the mean over `n_bins` equal bins of (0, 1] of |accuracy - confidence|, weighted
 * by the predictions in each. A confidence of 0 falls into the first bin. NaN: no predictions. */
double expected_calibration_error(const double *confidence, const bool *right, int64_t n,
                                  int n_bins);

#endif
