/* warren.hpp - handler plugins in C++17 and later: handlers are functions, or objects, that may
 * throw.
 *
 *     static void charge(warren::job &job)
 *     {
 *         if (job.body().empty())
 *             throw warren::rejection("there is nothing to charge"); // dead-lettered now
 *         book(job.body());                                          // throws: a failed attempt
 *     }                                                              // returns: acked
 *
 *     WARREN_CPP_PLUGIN("payments", "1.2.0", warren::handler<charge>("charge"))
 *
 * An exception that leaves a handler is a failed attempt, and its what() is the error: the chain
 * decides what follows, as after WARREN_RETRY. No exception leaves the plugin. warren_panic() jumps
 * over destructors: in C++ throw in its place.
 * A handler of many messages at once takes a warren::batch & in place of the job; an object may be
 * called with both. An exception that leaves it is of all messages of which nothing was said.
 * A job converts to struct warren_job *, so every function of the C headers takes it.
 *
 * Thread, lifetime of what is handed out: as handler.h says of the function that is wrapped. All of
 * it is in this header; there is nothing to link. Since: 0.1.
 */
#ifndef WARREN_WARREN_HPP
#define WARREN_WARREN_HPP

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "warren.hpp needs C++17 or later"
#endif

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <initializer_list>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <cxxabi.h>

#include <warren/batch.h>
#include <warren/group.h>
#include <warren/handler.h>
#include <warren/metrics.h>

namespace warren
{

/* ---- what a handler throws ---- */

/** The message will never succeed: WARREN_REJECT, with what() as the error. */
class rejection : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

/** A function of warren's refused. Leaving a handler it is WARREN_RETRY. */
class error : public std::runtime_error
{
  public:
    error(::warren_status status, const std::string &what)
        : std::runtime_error(what), status_(status)
    {
    }
    /** Never WARREN_OK. */
    ::warren_status status() const noexcept
    {
        return status_;
    }

  private:
    ::warren_status status_;
};

/* ---- what a handler is given ---- */

/** Bytes of somebody else's as a view; empty where there are none. */
inline std::string_view view(const ::warren_bytes &bytes) noexcept
{
    return bytes.len ? std::string_view(static_cast<const char *>(bytes.data), bytes.len)
                     : std::string_view();
}

/** @text without a copy, to publish it. */
inline ::warren_bytes bytes(std::string_view text) noexcept
{
    return ::warren_bytes{text.data(), text.size()};
}

/** The attempt at one message. Not owned: it is warren's, until the handler returns. */
class job
{
  public:
    explicit job(::warren_job *c) noexcept : c_(c)
    {
    }
    operator ::warren_job *() const noexcept
    {
        return c_;
    }

    std::string_view body() const noexcept
    {
        return view(::warren_job_body(c_));
    }
    const ::warren_properties &properties() const noexcept
    {
        return *::warren_job_properties(c_);
    }
    /** One that the job gave, to its end, also behind a NUL (warren_job_text()). */
    std::string_view text(const char *text) const noexcept
    {
        return view(::warren_job_text(c_, text));
    }
    /** NULL: there is no header of this name. */
    const ::warren_value *header(const char *name) const noexcept
    {
        return ::warren_job_header(c_, name);
    }
    const char *queue() const noexcept
    {
        return ::warren_job_queue(c_);
    }
    std::uint32_t attempt() const noexcept
    {
        return ::warren_job_attempt(c_);
    }
    bool cancelled() const noexcept
    {
        return ::warren_job_cancelled(c_);
    }

    void log(::warren_log_level level, const std::string &line) const noexcept
    {
        ::warren_job_log(c_, level, "%s", line.c_str());
    }

    /** warren_job_publish(). @throws warren::error, with the status and what it says. */
    void publish(const char *exchange, const char *routing_key,
                 const ::warren_message &message) const
    {
        check(::warren_job_publish(c_, exchange, routing_key, &message), "publish");
    }
    /** warren_job_publish_after(). @throws as publish(). */
    void publish_after(const char *exchange, const char *routing_key,
                       const ::warren_message &message, std::int64_t delay_ms) const
    {
        check(::warren_job_publish_after(c_, exchange, routing_key, &message, delay_ms),
              "publish_after");
    }
    /**
     * warren_job_reply(). @throws as publish().
     *
     * @return false: the message asks for no reply
     */
    bool reply(const ::warren_message &message) const
    {
        ::warren_status status = ::warren_job_reply(c_, &message);

        if (status == WARREN_ENOTFOUND)
            return false;
        check(status, "reply");
        return true;
    }

  private:
    void check(::warren_status status, const char *call) const
    {
        if (status == WARREN_OK)
            return;
        const char *why = ::warren_job_error(c_);
        throw error(status, why ? std::string(why)
                                : std::string(call) + ": " + ::warren_status_name(status));
    }

    ::warren_job *c_;
};

/** Messages that are handled together (batch.h): what is not here is there. */
class batch
{
  public:
    explicit batch(::warren_batch *c) noexcept : c_(c)
    {
    }
    operator ::warren_batch *() const noexcept
    {
        return c_;
    }

    std::size_t size() const noexcept
    {
        return ::warren_batch_count(c_);
    }
    /** The message @index, which is below size(). */
    job operator[](std::size_t index) const noexcept
    {
        return job(::warren_batch_job(c_, index));
    }
    /** What shall become of it, whatever is returned. @throws warren::error, as warren_batch_set().
     */
    void set(std::size_t index, ::warren_outcome outcome) const
    {
        ::warren_status status = ::warren_batch_set(c_, index, outcome);

        if (status != WARREN_OK)
            throw error(status, std::string("set: ") + ::warren_status_name(status));
    }
    /** The same with WARREN_REJECT, and @why as the error. */
    void reject(std::size_t index, const std::string &why) const
    {
        set(index, WARREN_REJECT);
        ::warren_job_fail(::warren_batch_job(c_, index), "%.1024s", why.c_str());
    }
    bool cancelled() const noexcept
    {
        return ::warren_batch_cancelled(c_);
    }
    std::int64_t time_left_ms() const noexcept
    {
        return ::warren_batch_time_left_ms(c_);
    }

  private:
    ::warren_batch *c_;
};

/** One figure of metrics.h, looked up when it is made: a member of an object that handles. */
class series
{
  public:
    /** @values one for each label. @throws warren::error, with what warren_metric_series() says. */
    explicit series(const ::warren_metric &metric, std::initializer_list<const char *> values = {})
    {
        std::vector<const char *> list(values);
        ::warren_error why{WARREN_OK, ""};

        list.push_back(nullptr);
        ::warren_status status = ::warren_metric_series(&metric, list.data(), &c_, &why);
        if (status != WARREN_OK)
            throw error(status, why.text);
    }

    void count(double more = 1) const noexcept
    {
        ::warren_count(c_, more);
    }
    void observe(double value) const noexcept
    {
        ::warren_observe(c_, value);
    }
    void set(double value) const noexcept
    {
        ::warren_set(c_, value);
    }

  private:
    ::warren_series *c_ = nullptr;
};

/** What an object that handles gets when it is made: `open` of handler.h. */
class subscription
{
  public:
    explicit subscription(const ::warren_subscription_info *c) noexcept : c_(c)
    {
    }
    operator const ::warren_subscription_info *() const noexcept
    {
        return c_;
    }

    const char *queue() const noexcept
    {
        return c_->queue;
    }
    std::uint32_t concurrency() const noexcept
    {
        return c_->concurrency;
    }
    /** The handler's options, checked; each must be in its table with a fitting type. */
    bool option_bool(const char *name) const
    {
        return ::warren_options_bool(c_->options, name);
    }
    std::int64_t option_int(const char *name) const
    {
        return ::warren_options_int(c_->options, name);
    }
    const char *option_text(const char *name) const
    {
        return ::warren_options_text(c_->options, name);
    }

  private:
    const ::warren_subscription_info *c_;
};

/* ---- several things at once ---- */

/** A function of a group, while it runs. */
class group_call
{
  public:
    explicit group_call(::warren_group_call *c) noexcept : c_(c)
    {
    }
    operator ::warren_group_call *() const noexcept
    {
        return c_;
    }
    bool cancelled() const noexcept
    {
        return ::warren_group_cancelled(c_);
    }
    std::int64_t time_left_ms() const noexcept
    {
        return ::warren_group_time_left_ms(c_);
    }

  private:
    ::warren_group_call *c_;
};

/**
 * Functions that run at the same time (group.h): of a handler, or inside of another function. An
 * exception that leaves a function is its failure, with its what() as the error. Who leaves the
 * scope without having waited cancels them and waits, so they may use what was made before it.
 */
class group
{
  public:
    /** @throws warren::error, as warren_group_new(). */
    explicit group(const job &job, std::uint32_t limit = 0,
                   ::warren_group_errors errors = WARREN_GROUP_FIRST)
        : job_(job)
    {
        made(::warren_group_new(job_, limit, errors, &c_));
    }
    /** Inside of a function of another one of @job. */
    group(const job &job, const group_call &call, std::uint32_t limit = 0,
          ::warren_group_errors errors = WARREN_GROUP_FIRST)
        : job_(job), nested_(true)
    {
        made(::warren_group_within(call, limit, errors, &c_));
    }
    group(const group &) = delete;
    group &operator=(const group &) = delete;
    ~group()
    {
        if (!open_)
            return;
        ::warren_group_cancel(c_);
        ::warren_group_wait(c_);
    }
    operator ::warren_group *() const noexcept
    {
        return c_;
    }

    /** @return false: it will not run, for the group is cancelled. @throws std::bad_alloc */
    bool run(std::function<void(group_call &)> function)
    {
        functions_.push_back(std::move(function));
        open_ = true;
        ::warren_status status = ::warren_group_run(c_, enter, &functions_.back());
        if (status == WARREN_ENOMEM)
            throw std::bad_alloc();
        return status == WARREN_OK;
    }
    /** @throws warren::error, with the status and the words of the first function that failed. */
    void wait()
    {
        open_ = false;
        ::warren_status status = ::warren_group_wait(c_);
        const char *why = nested_ || status == WARREN_OK ? nullptr : ::warren_job_error(job_);
        functions_.clear();
        if (status != WARREN_OK)
            throw error(status, why ? why : ::warren_status_name(status));
    }

  private:
    static ::warren_status enter(::warren_group_call *c, void *user)
    {
        group_call call(c);

        try {
            (*static_cast<std::function<void(group_call &)> *>(user))(call);
            return WARREN_OK;
        } catch (const error &failed) {
            ::warren_group_fail(c, "%.1024s", failed.what());
            return failed.status();
        } catch (const std::exception &failed) {
            const char *what = failed.what();
            ::warren_group_fail(c, "%.1024s",
                                what && *what ? what : "an exception that says nothing");
            return WARREN_EIO;
        } catch (abi::__forced_unwind &) {
            throw;
        } catch (...) {
            ::warren_group_fail(c, "an exception that is no std::exception");
            return WARREN_EIO;
        }
    }
    static void made(::warren_status status)
    {
        if (status != WARREN_OK)
            throw error(status, std::string("group: ") + ::warren_status_name(status));
    }

    job job_;
    ::warren_group *c_ = nullptr;
    bool nested_ = false;
    bool open_ = false;
    std::deque<std::function<void(group_call &)>> functions_;
};

/* ---- from C++ to the rows of a plugin ---- */

namespace detail
{

inline void fail(::warren_error *error, ::warren_status status, const char *what) noexcept
{
    if (!error)
        return;
    error->status = status;
    std::snprintf(error->text, sizeof error->text, "%.512s", what);
    for (char *at = error->text; *at; at++)
        if (static_cast<unsigned char>(*at) < ' ')
            *at = ' ';
}

/* A text of the user's, as far as an error is kept. */
inline const char *said(const char *what) noexcept
{
    return what && *what ? what : "an exception that says nothing";
}

inline void fail_job(::warren_job *c, const char *what) noexcept
{
    ::warren_job_fail(c, "%.1024s", what);
}

/* Those that have said something have their own reason. */
inline void fail_job(::warren_batch *c, const char *what) noexcept
{
    for (std::size_t i = 0; i < ::warren_batch_count(c); i++)
        if (!::warren_job_error(::warren_batch_job(c, i)))
            fail_job(::warren_batch_job(c, i), what);
}

/* Run @body; what leaves it becomes the outcome. The end of a thread (pthread_exit()) is no
 * failure, and must go on. */
template <class Given, class Body>::warren_outcome outcome_of(Given *c, Body &&body)
{
    try {
        return body();
    } catch (const rejection &refused) {
        fail_job(c, said(refused.what()));
        return WARREN_REJECT;
    } catch (const std::exception &failed) {
        fail_job(c, said(failed.what()));
        return WARREN_RETRY;
    } catch (abi::__forced_unwind &) {
        throw;
    } catch (...) {
        fail_job(c, "an exception that is no std::exception");
        return WARREN_RETRY;
    }
}

/* void: it returned, so it is done. */
template <class Call>::warren_outcome outcome_of_call(Call &&call)
{
    if constexpr (std::is_void_v<decltype(call())>) {
        call();
        return WARREN_ACK;
    } else {
        static_assert(std::is_same_v<decltype(call()), ::warren_outcome>,
                      "a handler returns void or enum warren_outcome");
        return call();
    }
}

/* @Wrapped is job or batch, and @Given what it wraps. */
template <auto Function, class Wrapped, class Given>
::warren_outcome handle_function(Given *c, void *)
{
    return outcome_of(c, [c] {
        Wrapped given(c);
        return outcome_of_call([&given] { return Function(given); });
    });
}

template <class Object, class Wrapped, class Given>
::warren_outcome handle_object(Given *c, void *state)
{
    return outcome_of(c, [c, state] {
        Wrapped given(c);
        return outcome_of_call([&given, state] { return (*static_cast<Object *>(state))(given); });
    });
}

template <class Object>::warren_status open_object(const ::warren_subscription_info *info,
                                                   void **state, ::warren_error *error)
{
    try {
        if constexpr (std::is_constructible_v<Object, const subscription &>)
            *state = new Object(subscription(info));
        else
            *state = new Object();
        return WARREN_OK;
    } catch (const std::bad_alloc &) {
        fail(error, WARREN_ENOMEM, "no memory");
        return WARREN_ENOMEM;
    } catch (const std::exception &failed) {
        fail(error, WARREN_EPLUGIN, said(failed.what()));
    } catch (abi::__forced_unwind &) {
        throw;
    } catch (...) {
        fail(error, WARREN_EPLUGIN, "an exception that is no std::exception");
    }
    return WARREN_EPLUGIN;
}

template <class Object> void close_object(void *state)
{
    delete static_cast<Object *>(state);
}

template <class Object> void reopen_object(void *state)
{
    static_cast<Object *>(state)->reopen();
}

/* The text is the message's or the object's, or even a temporary's: so it is copied. */
template <class Object>::warren_bytes key_of_object(::warren_job *c, void *state)
{
    try {
        job job(c);
        const auto key = static_cast<Object *>(state)->key(job);
        if constexpr (std::is_pointer_v<decltype(key)>) {
            if (!key)
                return ::warren_bytes{nullptr, 0};
        }
        const std::string_view text(key);
        void *copy = text.empty() ? nullptr : ::warren_job_alloc(c, text.size());

        if (copy) {
            std::memcpy(copy, text.data(), text.size());
            return ::warren_bytes{copy, text.size()};
        }
    } catch (abi::__forced_unwind &) {
        throw;
    } catch (...) {
        // It has none, as for a key of length 0.
    }
    return ::warren_bytes{nullptr, 0};
}

template <class Object, class = void> struct has_reopen : std::false_type {
};
template <class Object>
struct has_reopen<Object, std::void_t<decltype(std::declval<Object &>().reopen())>>
    : std::true_type {
};

template <class Object, class = void> struct has_key : std::false_type {
};
template <class Object>
struct has_key<Object, std::void_t<decltype(std::declval<Object &>().key(std::declval<job &>()))>>
    : std::true_type {
};

template <std::size_t Count>::warren_plugin
plugin(const char *name, const char *version, const ::warren_handler (&handlers)[Count]) noexcept
{
    ::warren_plugin c{};

    c.abi = WARREN_PLUGIN_ABI;
    c.size = sizeof(::warren_plugin);
    c.handler_size = sizeof(::warren_handler);
    c.option_size = sizeof(::warren_option);
    c.name = name;
    c.version = version;
    c.handlers = handlers;
    return c;
}

} // namespace detail

/** One handler of a plugin, with more said of it: handler<f>("name").help("...").options(table). */
class row
{
  public:
    explicit row(const char *name) noexcept
    {
        c_.name = name;
    }
    /** One sentence, shown by `warren handlers`. */
    row help(const char *sentence) const noexcept
    {
        row more(*this);
        more.c_.help = sentence;
        return more;
    }
    /** A table that ends with a row whose name is NULL (struct warren_option). */
    row options(const ::warren_option *table) const noexcept
    {
        row more(*this);
        more.c_.options = table;
        return more;
    }
    /** As the member of struct warren_handler. */
    row transactional() const noexcept
    {
        row more(*this);
        more.c_.transactional = true;
        return more;
    }

    operator ::warren_handler() const noexcept
    {
        return c_;
    }

  private:
    template <auto Function> friend row handler(const char *name) noexcept;
    template <class Object> friend row handler(const char *name) noexcept;

    ::warren_handler c_{};
};

/** A function `void f(warren::job &)` or `void f(warren::batch &)`, or one that returns enum
 * warren_outcome. */
template <auto Function> row handler(const char *name) noexcept
{
    row made(name);
    if constexpr (std::is_invocable_v<decltype(Function), batch &>)
        made.c_.handle_batch = detail::handle_function<Function, batch, ::warren_batch>;
    else
        made.c_.handle = detail::handle_function<Function, job, ::warren_job>;
    return made;
}

/**
 * An object a subscription: made of a warren::subscription, or of nothing, on the main thread, and
 * destroyed there; a constructor that throws keeps the worker from starting. It is called with each
 * job, or each batch, on `concurrency` threads at once. It may have `void reopen() noexcept` and
 * `key(warren::job
 * &)`, which returns a text: see `reopen` and `key` in handler.h. A key() that throws says that
 * there is none.
 */
template <class Object> row handler(const char *name) noexcept
{
    static_assert(std::is_nothrow_destructible_v<Object>, "a destructor has to be noexcept");
    row made(name);
    made.c_.open = detail::open_object<Object>;
    constexpr bool takes_batches = std::is_invocable_v<Object &, batch &>;
    if constexpr (takes_batches)
        made.c_.handle_batch = detail::handle_object<Object, batch, ::warren_batch>;
    if constexpr (!takes_batches || std::is_invocable_v<Object &, job &>)
        made.c_.handle = detail::handle_object<Object, job, ::warren_job>;
    made.c_.close = detail::close_object<Object>;
    if constexpr (detail::has_reopen<Object>::value) {
        static_assert(noexcept(std::declval<Object &>().reopen()), "reopen() has to be noexcept");
        made.c_.reopen = detail::reopen_object<Object>;
    }
    if constexpr (detail::has_key<Object>::value)
        made.c_.key = detail::key_of_object<Object>;
    return made;
}

} // namespace warren

/** WARREN_CPP_PLUGIN("payments", "1.2.0", warren::handler<f>("charge"), ...): once in a plugin. */
#define WARREN_CPP_PLUGIN(name, version, ...)                                                      \
    extern "C" WARREN_API const struct warren_plugin *warren_plugin_entry(void);                   \
    extern "C" const struct warren_plugin *warren_plugin_entry(void)                               \
    {                                                                                              \
        static const ::warren_handler handlers[] = {__VA_ARGS__, ::warren_handler{}};              \
        static const ::warren_plugin plugin = ::warren::detail::plugin(name, version, handlers);   \
        return &plugin;                                                                            \
    }

#endif
