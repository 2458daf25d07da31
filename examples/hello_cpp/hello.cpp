/* hello.cpp - a plugin in C++: `hello_cpp.greet` logs each message, with a greeting from its
 * options. */
#include <string>

#include <warren/warren.hpp>

namespace
{

/* One for the subscription; called on several threads at once, so it only reads. */
class greeter
{
  public:
    explicit greeter(const warren::subscription &subscription)
        : greeting_(subscription.option_text("greeting"))
    {
    }

    void operator()(warren::job &job) const
    {
        if (job.body().empty())
            throw warren::rejection("there is nobody to greet"); // dead-lettered
        job.log(WARREN_LOG_INFO, greeting_ + ", " + std::string(job.body()) + "!");
    } // acked

  private:
    std::string greeting_;
};

const warren_option greet_options[] = {
    {"greeting", WARREN_OPTION_STRING, "Hello", 0, 0, nullptr, "How to greet."}, {}};

} // namespace

WARREN_CPP_PLUGIN("hello_cpp", "1.0.0",
                  warren::handler<greeter>("greet")
                      .options(greet_options)
                      .help("Log a greeting for each message."))
