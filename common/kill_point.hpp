// Named steps in the protocols of worker and coordinator at which a test can kill the process. In release builds
// (without TUTTI_KILL_POINTS) kill_point() does nothing.
//
// TUTTI_KILL_POINT="<point>:<visit>:<token>" in the environment arms one point: at its visit number <visit> (from 1,
// counted per process) the process removes the file <token> and, if that succeeded, sends itself SIGKILL. There is one
// token, so exactly one of the processes that inherit the variable dies, once.
#pragma once

#include <array>
#include <string_view>

namespace tutti {

/// Every step of the worker's protocol, in the order of its life.
inline constexpr std::array kWorkerKillPoints{
    std::string_view("worker.started"),
    std::string_view("worker.tied"),
    std::string_view("worker.hello"),
    std::string_view("worker.preload_received"),
    std::string_view("worker.preloaded"),
    std::string_view("worker.load_received"),
    std::string_view("worker.loaded"),
    std::string_view("worker.warm"),
    std::string_view("worker.ready"),
    std::string_view("worker.start_received"),
    std::string_view("worker.mapped"),
    std::string_view("worker.task_popped"),
    std::string_view("worker.batch_done"),
    std::string_view("worker.answer_written"),
    std::string_view("worker.checkpoint_begun"),
    std::string_view("worker.checkpoint_written"),
    std::string_view("worker.completion_pushed"),
    std::string_view("worker.bell_rung"),
    std::string_view("worker.parked"),
    std::string_view("worker.feed_received"),
    std::string_view("worker.feed_mapped"),
    std::string_view("worker.begin_training_received"),
    std::string_view("worker.restore_received"),
    std::string_view("worker.restored"),
    std::string_view("worker.save_received"),
    std::string_view("worker.saved"),
    std::string_view("worker.stop_received"),
};

/// Every step of the coordinator's, in the order of a run.
inline constexpr std::array kCoordinatorKillPoints{
    std::string_view("coordinator.arena_made"),          std::string_view("coordinator.worker_spawned"),
    std::string_view("coordinator.load_sent"),           std::string_view("coordinator.channel_made"),
    std::string_view("coordinator.start_sent"),          std::string_view("coordinator.all_ready"),
    std::string_view("coordinator.command_sent"),        std::string_view("coordinator.command_answered"),
    std::string_view("coordinator.segment_filled"),      std::string_view("coordinator.segment_opened"),
    std::string_view("coordinator.feed_sent"),           std::string_view("coordinator.task_pushed"),
    std::string_view("coordinator.completion_accepted"), std::string_view("coordinator.segment_judged"),
    std::string_view("coordinator.segment_done"),        std::string_view("coordinator.death_seen"),
    std::string_view("coordinator.journal_written"),     std::string_view("coordinator.segment_delivered"),
    std::string_view("coordinator.results_begun"),       std::string_view("coordinator.results_in_place"),
    std::string_view("coordinator.report_written"),      std::string_view("coordinator.journal_removed"),
};

#ifdef TUTTI_KILL_POINTS
/// Kills the process here if the environment says so. `point` is one of the names above.
void kill_point(std::string_view point) noexcept;
#else
inline void kill_point(std::string_view) noexcept {}
#endif

}  // namespace tutti
