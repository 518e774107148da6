include(${CMAKE_CURRENT_LIST_DIR}/../usermod.cmake)
tinylearn_module(tl_front ${CMAKE_CURRENT_LIST_DIR})
