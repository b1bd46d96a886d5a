from django.http import JsonResponse
from django.urls import path
from oauth2_provider.decorators import protected_resource


@protected_resource(advertise_metadata=True)
def who(request):
    return JsonResponse({"name": request.resource_owner.get_username()})


urlpatterns = [path("", who)]
