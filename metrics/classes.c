/* classes.c: F1, Matthews' correlation, calibration. */
#include "metrics/classes.h"

#include <math.h>
#include <string.h>

void class_counts_add(struct class_counts *c, int gold, int predicted)
{
    bool right = gold == predicted;
    c->gold[gold]++;
    c->predicted[predicted]++;
    c->n++;
    c->n_right += right;
    c->n_both_1 += right && gold + c->first_label == 1;
    if (c->both)
        c->both[gold] += right;
}

void class_counts_of(struct class_counts *c, const int *gold, const int *predicted, int64_t n)
{
    size_t bytes = (size_t)c->n_classes * sizeof *c->gold;
    memset(c->gold, 0, bytes), memset(c->predicted, 0, bytes), memset(c->both, 0, bytes);
    c->n = c->n_right = c->n_both_1 = 0;
    for (int64_t i = 0; i < n; i++)
        class_counts_add(c, gold[i], predicted[i]);
}

static double ratio(double x, double y)
{
    return y != 0 ? x / y : 0;
}

double f1_average(const struct class_counts *c, enum f1_average how)
{
    double sum = 0, weights = 0;
    if (how == F1_MICRO)
        return ratio(c->n_right, c->n);
    for (int i = 0; i < c->n_classes; i++) {
        double members = c->gold[i] + c->predicted[i];
        double weight = how == F1_MACRO ? members > 0 : c->gold[i];
        sum += weight * ratio(2 * c->both[i], members);
        weights += weight;
    }
    return ratio(sum, weights);
}

double f1_of_two_classes(const struct class_counts *c)
{
    int one = 1 - c->first_label, n_there = 0;
    for (int i = 0; i < c->n_classes; i++)
        n_there += c->gold[i] + c->predicted[i] > 0;
    double members = one < c->n_classes ? c->gold[one] + c->predicted[one] : 0;
    if (n_there > 2 || (n_there == 2 && members == 0))
        return NAN;
    return ratio(2 * c->n_both_1, members);
}

double matthews_correlation(const struct class_counts *c)
{
    double both = 0, gold = 0, predicted = 0;
    for (int i = 0; i < c->n_classes; i++) {
        both += c->gold[i] * c->predicted[i];
        gold += c->gold[i] * c->gold[i];
        predicted += c->predicted[i] * c->predicted[i];
    }
    double spread_gold = c->n * c->n - gold, spread_predicted = c->n * c->n - predicted;
    if (spread_gold * spread_predicted == 0)
        return 0;
    return (c->n_right * c->n - both) / sqrt(spread_gold * spread_predicted);
}

double expected_calibration_error(const double *confidence, const bool *right, int64_t n,
                                  int n_bins)
{
    double sum = 0;
    for (int bin = 0; bin < n_bins; bin++) {
        double low = bin == 0 ? -INFINITY : (double)bin / n_bins;
        double high = bin + 1 == n_bins ? INFINITY : (double)(bin + 1) / n_bins, off = 0;
        for (int64_t i = 0; i < n; i++)
            if (confidence[i] > low && confidence[i] <= high)
                off += right[i] - confidence[i];
        sum += fabs(off);
    }
    return n > 0 ? sum / (double)n : NAN;
}
