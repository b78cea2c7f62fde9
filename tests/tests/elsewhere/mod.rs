//! Of the commands that the pages tell their readers to type and that `guide` does not run from there: which test types them from the
//! page (`daemon_pages`, `replay`, `walks`), or does the same with what it takes: containers, root, a terminal, a server. It runs none.

use murphy_tests::repository;

/// A test, and the commands that it stands for.
pub struct Test {
    /// In `tests/tests`, without its ending.
    file: &'static str,
    name: &'static str,
    /// The page, and how the command begins.
    pub commands: &'static [(&'static str, &'static str)],
}

pub const ELSEWHERE: &[Test] = &[
    Test {
        file: "attach",
        name: "a_fault_hits_the_calls_of_that_caller_to_that_destination_and_no_others",
        commands: &[("README.md", "sudo murphy attach"), ("docs/by-hand.md", "sudo murphy attach")],
    },
    Test {
        file: "attach",
        name: "all_replicas_of_a_service_are_sat_in_on_or_as_many_as_are_picked",
        commands: &[("docs/cookbook.md", "murphy attach --from service:web")],
    },
    Test {
        file: "attach_patterns",
        name: "the_timeout_and_the_tries_of_a_caller_are_those_of_its_script",
        commands: &[("docs/cookbook.md", "murphy attach --from shop_web_1")],
    },
    Test {
        file: "by_hand_containers",
        name: "a_pause_ends_by_itself_and_says_what_it_did",
        commands: &[("README.md", "murphy pause"), ("docs/cookbook.md", "murphy pause service:db")],
    },
    Test {
        file: "by_hand_containers",
        name: "targets_are_chosen_as_asked_and_the_protected_are_spared",
        commands: &[("docs/by-hand.md", "murphy pause")],
    },
    Test {
        file: "by_hand_containers",
        name: "when_murphy_is_killed_containers_come_back_all_the_same",
        commands: &[("docs/cookbook.md", "murphy pause service:payments")],
    },
    Test {
        file: "by_hand_containers",
        name: "each_command_breaks_its_container_and_gives_it_back_as_it_was",
        commands: &[("docs/cookbook.md", "murphy kill"), ("docs/cookbook.md", "murphy limit")],
    },
    Test {
        file: "by_hand_containers",
        name: "replicas_are_killed_in_rounds_one_at_a_time_and_start_again",
        commands: &[("README.md", "murphy kill service:"), ("docs/by-hand.md", "murphy kill service:")],
    },
    Test {
        file: "by_hand_containers",
        name: "a_command_is_run_in_containers_told_with_its_end_and_taken_back",
        commands: &[("docs/by-hand.md", "murphy exec"), ("docs/cookbook.md", "murphy exec")],
    },
    Test {
        file: "by_hand_network",
        name: "it_ends_by_itself_comes_again_and_is_told_as_data",
        commands: &[("docs/by-hand.md", "murphy partition")],
    },
    Test {
        file: "by_hand_network",
        name: "each_fault_of_a_network_acts_where_it_is_put_and_is_gone_at_its_end",
        commands: &[("docs/cookbook.md", "murphy partition")],
    },
    Test {
        file: "by_hand_processes",
        name: "a_frozen_process_stands_still_for_its_time_and_then_goes_on",
        commands: &[("README.md", "murphy freeze"), ("docs/by-hand.md", "murphy freeze")],
    },
    Test {
        file: "by_hand_processes",
        name: "a_signal_is_sent_as_named",
        commands: &[("docs/by-hand.md", "murphy signal")],
    },
    Test {
        file: "by_hand_processes",
        name: "a_killed_process_is_dead_and_the_others_live",
        commands: &[("docs/by-hand.md", "murphy kill process:")],
    },
    Test {
        file: "cli",
        name: "every_scenario_in_the_repository_passes_check_and_plans",
        commands: &[
            ("README.md", "murphy check scenarios/*.yaml"),
            ("README.md", "murphy plan scenarios/redis-slow.yaml"),
        ],
    },
    Test {
        file: "cli",
        name: "plans_and_mistakes_are_told_to_a_program_by_either_flag",
        commands: &[("README.md", "murphy check scenarios/ --output json")],
    },
    Test {
        file: "cli",
        name: "undo_with_nothing_to_undo_says_so",
        commands: &[("docs/cookbook.md", "murphy undo")],
    },
    Test {
        file: "daemon_pages",
        name: "the_page_on_the_control_api_shows_what_is_answered",
        commands: &[
            ("docs/control-api.md", "murphy serve --seed"),
            ("docs/control-api.md", "murphy proxies"),
            ("docs/control-api.md", "murphy fault"),
        ],
    },
    Test {
        file: "daemon_pages",
        name: "the_page_for_those_who_use_toxiproxy_shows_what_is_answered",
        commands: &[
            ("docs/toxiproxy.md", "murphy serve"),
            ("docs/toxiproxy.md", "murphy toxiproxy create"),
            ("docs/toxiproxy.md", "murphy toxiproxy toxic"),
            ("docs/toxiproxy.md", "murphy toxiproxy inspect"),
        ],
    },
    Test {
        file: "docker",
        name: "the_compose_scenarios_end_as_they_say_and_leave_no_stack_behind",
        commands: &[
            ("README.md", "murphy run scenarios/compose-partition.yaml"),
            ("examples/compose/README.md", "murphy run scenarios/compose-partition.yaml"),
        ],
    },
    Test {
        file: "doctor",
        name: "an_engine_that_does_not_tell_of_its_containers_is_not_one_without_any",
        commands: &[("README.md", "murphy doctor")],
    },
    Test {
        file: "explore",
        name: "a_dependency_that_hangs_takes_all_users_of_the_careless_shop_and_none_who_browse_the_careful_one",
        commands: &[("README.md", "murphy explore")],
    },
    Test {
        file: "init",
        name: "the_first_scenario_is_written_and_checked",
        commands: &[("README.md", "murphy init")],
    },
    Test {
        file: "many",
        name: "a_directory_is_run_file_by_file_and_the_worst_verdict_wins",
        commands: &[("README.md", "murphy run scenarios/ --only")],
    },
    Test {
        file: "many",
        name: "a_slower_run_is_worse_and_an_equal_one_is_not",
        commands: &[("README.md", "murphy compare")],
    },
    Test {
        file: "native_cli",
        name: "proxies_and_faults_are_made_edited_and_removed_by_words",
        commands: &[("README.md", "murphy fault add")],
    },
    Test {
        file: "pressure",
        name: "each_pressure_is_there_for_its_time_and_gone_after_it",
        commands: &[("README.md", "murphy pressure"), ("docs/by-hand.md", "murphy pressure disk")],
    },
    Test {
        file: "pressure",
        name: "a_share_of_the_time_is_not_exceeded",
        commands: &[("docs/by-hand.md", "murphy pressure cpu")],
    },
    Test {
        file: "pressure",
        name: "memory_can_grow_as_a_leak_does",
        commands: &[("docs/by-hand.md", "murphy pressure memory")],
    },
    Test {
        file: "proxy_by_hand",
        name: "a_fault_on_requests_touches_the_chosen_ones_and_is_saved_with_its_choice",
        commands: &[("README.md", "murphy proxy 127.0.0.1:9000")],
    },
    Test {
        file: "redis",
        name: "a_slow_redis_is_felt_only_through_the_careless_cart",
        commands: &[("README.md", "murphy run scenarios/redis-slow.yaml")],
    },
    Test {
        file: "replay",
        name: "a_recording_puts_the_same_faults_up_for_the_same_times",
        commands: &[
            ("docs/cookbook.md", "murphy top --edge"),
            ("docs/cookbook.md", "murphy run recorded.yaml"),
        ],
    },
    Test {
        file: "serve",
        name: "a_program_is_told_where_the_daemon_listens_and_how_it_ends",
        commands: &[("README.md", "murphy serve")],
    },
    Test {
        file: "serve_containers",
        name: "each_fault_is_done_over_the_api_and_taken_back_by_its_end",
        commands: &[("docs/control-api.md", "murphy serve --containers")],
    },
    Test {
        file: "tls",
        name: "python_trusts_the_authority_and_refuses_each_bad_certificate",
        commands: &[("docs/tls.md", "murphy proxy")],
    },
    Test {
        file: "top",
        name: "a_fault_is_put_on_tuned_saved_and_gone_at_the_end_by_keys_alone",
        commands: &[("README.md", "murphy top --edge")],
    },
    Test {
        file: "top",
        name: "the_calls_of_a_running_container_are_slowed_by_key_and_its_own_again_at_the_end",
        commands: &[("README.md", "sudo murphy top --from")],
    },
    Test {
        file: "top_stack",
        name: "proxies_of_a_daemon_and_containers_of_a_project_are_steered_in_one_view",
        commands: &[("README.md", "murphy top --api")],
    },
    Test {
        file: "top_run",
        name: "a_run_is_only_looked_at_unless_told_and_says_what_was_done_to_it_by_key",
        commands: &[("README.md", "murphy top --run")],
    },
    Test {
        file: "top_stack",
        name: "containers_are_paused_killed_and_cut_off_by_key_only_once_it_is_agreed_and_all_is_given_back",
        commands: &[("docs/cookbook.md", "murphy top --containers")],
    },
    Test {
        file: "walks",
        name: "one_proxy_by_hand_tells_of_three_calls_and_saves_what_was_done",
        commands: &[("README.md", "murphy proxy 127.0.0.1:16379"), ("docs/by-hand.md", "murphy proxy")],
    },
    Test {
        file: "walks",
        name: "two_orders_fail_and_then_all_is_well_as_the_cookbook_shows",
        commands: &[("docs/cookbook.md", "murphy proxy")],
    },
];

/// Helpers of several files, and the command that they build.
const HELPERS: [(&str, &str); 3] =
    [("Sitting::before(", "proxy"), ("Daemon::start(", "serve"), ("Api::start(", "serve")];

impl Test {
    /// Asserts that it is there and types each of its commands, or takes it from the page.
    pub fn types_its_commands(&self) {
        let Test { file, name, commands } = self;
        let (body, helpers) = self.code();
        for (page, begins) in *commands {
            let word = begins.trim_start_matches("sudo ").split(' ').nth(1).expect("`murphy` and a word");
            let is_from_the_page =
                page.rsplit('/').next().is_some_and(|page| body.contains(&format!("\"{page}\"")));
            assert!(
                is_from_the_page || types(&body, word) || types(&helpers, word),
                "`{name}` in tests/tests/{file}.rs stands behind {page}, `{begins}`, and types no `{word}`"
            );
        }
    }

    /// Its own code, and that of its file outside of all tests, where helpers may build the command. No comments: they only promise.
    fn code(&self) -> (String, String) {
        let Test { file, name, .. } = self;
        let path = repository().join(format!("tests/tests/{file}.rs"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let text = lines.join("\n") + "\n";
        let mut pieces = text.split("#[test]\n");
        let mut helpers = pieces.next().unwrap_or_default().to_owned();
        let mut body = None;
        for piece in pieces {
            let (test, after) =
                piece.split_once("\n}\n").expect("a test ends where its line begins with a brace");
            helpers.push_str(after);
            if test.starts_with(&format!("fn {name}(")) {
                body = Some(test.to_owned());
            }
        }
        (body.unwrap_or_else(|| panic!("{} has no test `{name}`", path.display())), helpers)
    }
}

/// True if the word stands where one of a command does, in a text of the code; or a helper builds its command.
fn types(code: &str, word: &str) -> bool {
    let stands =
        |at: usize| code[..at].ends_with(['"', ' ']) && code[at + word.len()..].starts_with(['"', ' ']);
    code.match_indices(word).any(|(at, _)| stands(at))
        || HELPERS.iter().any(|(helper, builds)| *builds == word && code.contains(helper))
}
