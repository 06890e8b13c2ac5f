/* A row a function of lm-evaluation-harness 0.4.13: `assay tasks check --json` prints the
 * fingerprints of those that are not here. */
/* clang-format off */
{"f471dbada64595d4", "assay.build_predictions"}, /* humaneval/utils.build_predictions */
{"97123351802fdf67", "assay.build_predictions_instruct"}, /* humaneval/utils.build_predictions_instruct */
{"23d12df92e963cfa", "assay.pass_at_k"}, /* humaneval/utils.pass_at_k */
{"5a11e73be62303ca", "assay.extract_code"}, /* mbpp/utils.build_predictions */
{"745f999e5a3d616e", "assay.pass_at_1"}, /* mbpp/utils.pass_at_1 */
{"495b5ca444829894", "assay.mmmlu(*)"}, /* openai-mmmlu/utils.process_abstract_algebra */
{"07b19e921afcb7f2", "assay.hellaswag"}, /* tinyBenchmarks/utils_hellaswag.process_docs */
{"ed27fb057fc8b779", "assay.winogrande_choice"}, /* tinyBenchmarks/utils_winogrande.doc_to_choice */
{"156ad85415de5bc8", "assay.winogrande_target"}, /* tinyBenchmarks/utils_winogrande.doc_to_target */
{"cf33f85fe0236b0f", "assay.winogrande_text"}, /* tinyBenchmarks/utils_winogrande.doc_to_text */
{"77c7f3fcfa5ee002", "assay.truthfulqa_mc2"}, /* truthfulqa/utils.process_results_mc2 */
{"c7a765ac490f68a4", "assay.wikitext"}, /* wikitext/preprocess_wikitext.process_results */
{"30257b56b6eb5f3a", "assay.wikitext_target"}, /* wikitext/preprocess_wikitext.wikitext_detokenizer */
{"bab14434807da6cd", "assay.gpqa"}, /* leaderboard/gpqa/utils.process_docs */
{"8ab9063a0247b703", "assay.ifeval"}, /* ifeval/utils.process_results */
{"56fac11b239aadc8", "assay.agg_inst_level_acc"}, /* ifeval/utils.agg_inst_level_acc */
{"a0dd3513b2ee866d", "assay.mmlu_pro_choice"}, /* leaderboard/mmlu_pro/utils.doc_to_choice */
{"39ae1b682d8c9da6", "assay.mmlu_pro_text"}, /* leaderboard/mmlu_pro/utils.doc_to_text */
{"98143938d68d999f", "assay.mmlu_pro_cot_target"}, /* mmlu_pro/utils.fewshot_to_target */
{"5aa8d2e209db4f34", "assay.mmlu_pro_cot_text"}, /* mmlu_pro/utils.doc_to_text */
{"5967da613700c827", "assay.mmlu_pro_cot_text"}, /* mmlu_pro/utils.fewshot_to_text */
{"f2d34f5bdd087120", "assay.musr_text"}, /* leaderboard/musr/utils.doc_to_text */
{"9beb6c788db40b33", "assay.weighted_f1_score"}, /* afrixnli/anli prompt/en-direct/utils.weighted_f1_score */
{"536774703d6e5ee8", "assay.weighted_f1_score"}, /* afrimmlu/direct/prompt_1/utils.weighted_f1_score */
{"de8ca27315743921", "assay.micro_f1_score"}, /* aradice/ArabicMMLU/EGY/metrics.micro_f1_score */
{"e60d9919a7c315b4", "{{['entailment', 'neutral', 'contradiction'][label]}}"}, /* afrixnli/direct/prompt_1/utils.doc_to_target */
{"1c7331fe56280fef", "{{['True', 'Neither', 'False'][label]}}"}, /* afrixnli/anli prompt/en-direct/utils.doc_to_target */
{"a6280f2400049303", "{{['true', 'false', 'inconclusive'][label]}}"}, /* afrixnli/direct/prompt_5/utils.doc_to_target */
{"b13bc110039583ea", "{{choices}}"}, /* afrimmlu/direct/prompt_1/utils.doc_to_choice */
{"bced2d9408af45a3", "assay.macro_f1_score"}, /* kobest/utils.macro_f1_score */
{"905d6fad672de236", "assay.micro_f1_score"}, /* basqueglue/utils.micro_f1_score */
{"c24e57788f1cb487", "assay.samples(mbpp.yaml)"}, /* mbpp/utils.list_fewshot_samples */
{"9a5e03d8c7ae0cb2", "assay.samples(math/_minerva_math_task.yaml)"}, /* minerva_math/utils.list_fewshot_samples */
{"cd93349810131efc", "assay.minerva_math"}, /* minerva_math/utils.process_docs */
{"8499ec109520ec7d", "assay.minerva_math"}, /* minerva_math/utils.process_results */
{"66cc971ca36e92ca", "assay.math_text"}, /* minerva_math/utils.doc_to_text */
{"13e036406726f9c3", "assay.samples(math/_leaderboard_math_task.yaml)"}, /* leaderboard/math/utils.list_fewshot_samples */
{"aaf443b2f4d7cae5", "assay.math_level_5"}, /* leaderboard/math/utils.process_docs */
{"a3fdc0a6e8afe95e", "assay.leaderboard_math"}, /* leaderboard/math/utils.process_results */
{"bd0da87bc3aa9ce6", "assay.truthfulqa_gen"}, /* truthfulqa/utils.process_results_gen */
{"e342c59ab316ddc9", "{{['A', 'B', 'C', 'D', 'E'][:choices | length]}}"}, /* darijammlu/utils.doc_to_choice */
{"5b0ae1317de91900", "assay.bigbench_choices"}, /* bigbench/multiple_choice/utils.filter_multiple_choice */
{"8f2b6c56af234b6c", "assay.mmlusr"}, /* mmlusr/answer_only/utils.process_docs */
