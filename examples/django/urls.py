from django.http import JsonResponse
from django.urls import path


def who(request):
    user = request.vigie
    return JsonResponse(
        {"user": user["sub"], "name": user["username"], "role": user["role"], "session": user["sid"]}
    )


urlpatterns = [path("", who)]
