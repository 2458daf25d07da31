/* reload_request.c - see reload_request.h. */
#include "app/reload_request.h"

void reload_request_init(struct reload_request *request)
{
    *request = (struct reload_request){.report = NULL};
    pthread_mutex_init(&request->lock, NULL);
    condition_init(&request->answered);
}

void reload_request_done(struct reload_request *request)
{
    condition_done(&request->answered);
    pthread_mutex_destroy(&request->lock);
}

/* Under the lock. */
static void refuse_at_the_end(struct reload_report *report)
{
    reload_report_refuse(report, true, "the worker ends, and reads no configuration any more");
}

void reload_request_ask(struct reload_request *request, sem_t *wake, struct reload_report *ret)
{
    pthread_mutex_lock(&request->lock);
    if (request->closed) {
        refuse_at_the_end(ret);
    } else if (request->report) {
        reload_report_refuse(ret, true, "another reload is under way: one at a time");
    } else {
        request->report = ret;
        request->asked = true;
        sem_post(wake);
        while (request->report == ret)
            condition_wait(&request->answered, &request->lock);
    }
    pthread_mutex_unlock(&request->lock);
}

bool reload_request_take(struct reload_request *request)
{
    bool asked;

    pthread_mutex_lock(&request->lock);
    asked = request->asked;
    request->asked = false;
    request->under_way = asked;
    pthread_mutex_unlock(&request->lock);
    return asked;
}

void reload_request_answer(struct reload_request *request, const struct reload_report *report)
{
    pthread_mutex_lock(&request->lock);
    *request->report = *report;
    request->report = NULL;
    request->under_way = false;
    condition_broadcast(&request->answered);
    pthread_mutex_unlock(&request->lock);
}

void reload_request_close(struct reload_request *request)
{
    pthread_mutex_lock(&request->lock);
    request->closed = true;
    if (request->report && !request->under_way) {
        refuse_at_the_end(request->report);
        request->report = NULL;
        request->asked = false;
        condition_broadcast(&request->answered);
    }
    pthread_mutex_unlock(&request->lock);
}
