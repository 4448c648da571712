"""One page: the newest runs."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from django_app.jobs import scheduler


def runs(request: HttpRequest) -> JsonResponse:
    """The newest runs, of all processes."""
    found = scheduler.runs("tick", limit=20)
    return JsonResponse({"runs": [{"fire_at": run.fire_at, "state": run.state, "result": run.result} for run in found]})


urlpatterns = [path("runs", runs)]
